// Lets plotly.js live under a content security policy without 'unsafe-inline'. It sets `style` attributes, which the policy
// forbids, where the same through CSSOM is allowed; and it adds the style sheet of its maps, which are not used here.
// (Its other style sheet is left out by the class "no-inline-styles" in index.html; app.css has what it needs of it.)

const setAttribute = Element.prototype.setAttribute;
const createElement = Document.prototype.createElement;

Element.prototype.setAttribute = function setAttributeWithoutInlineStyle(name, value) {
  if (name === "style" && this.style) this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

Document.prototype.createElement = function createElementWithoutInlineStyle(name, ...options) {
  return createElement.call(this, String(name).toLowerCase() === "style" ? "meta" : name, ...options);
};
