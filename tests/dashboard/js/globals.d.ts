// What the scripts use beyond the standard library of TypeScript 4.8: plotly.js, and the popover attribute.

/** An element that plotly.js draws into: it stores the figure there. */
interface PlotBox extends HTMLElement {
  data?: any[];
  layout?: any;
}

interface PlotlyModule {
  react(box: Element, data: any[], layout: any, config: object): Promise<unknown>;
  purge(box: Element): void;
  toImage(figure: { data: any[]; layout: any }, options: object): Promise<string>;
}

declare const Plotly: PlotlyModule;

interface HTMLElement {
  togglePopover(force?: boolean): boolean;
  hidePopover(): void;
}
