//! Glob patterns for names, as in a shell, except that `*` also matches `/`.

/// Whether all of `name` matches `pattern`.
///
/// `*` matches any sequence of characters, `?` any single character, `[abc]` and `[a-c]` any character in the set, and
/// `[!abc]` any character not in the set. `[*]` matches a literal star; an unclosed `[` matches itself.
///
/// ```
/// use holter::pattern::matches;
///
/// assert!(matches("grad_norm/*", "grad_norm/blocks.0/weight"));
/// assert!(matches("layer_[0-3]", "layer_2"));
/// assert!(!matches("*loss", "loss/train"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut done) = (0, 0);
    // The position of the last star and the end of its match: the only place to backtrack to.
    let mut star: Option<(usize, usize)> = None;
    while done < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, done));
            at += 1;
        } else if let Some(next) = match_element(&pattern, at, name[done]) {
            at = next;
            done += 1;
        } else if let Some((star_at, star_done)) = star {
            star = Some((star_at, star_done + 1));
            at = star_at + 1;
            done = star_done + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// The position after the pattern element at `at` if that element matches `c`.
fn match_element(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match class(pattern, at) {
            Some((inside, next)) => in_class(inside, c).then_some(next),
            None => (c == '[').then_some(at + 1),
        },
        other => (c == other).then_some(at + 1),
    }
}

/// The content of the brackets that open at `at`, and the position after them.
fn class(pattern: &[char], at: usize) -> Option<(&[char], usize)> {
    let start = at + 1;
    // A `]` directly after `[` or `[!` is a member of the set.
    let first = if pattern.get(start) == Some(&'!') { start + 2 } else { start + 1 };
    let end = first + pattern.get(first..)?.iter().position(|&c| c == ']')?;
    Some((&pattern[start..end], end + 1))
}

fn in_class(inside: &[char], c: char) -> bool {
    let (is_negated, mut rest) = match inside {
        ['!', rest @ ..] => (true, rest),
        _ => (false, inside),
    };
    let mut is_in = false;
    loop {
        rest = match rest {
            [first, '-', last, tail @ ..] => {
                is_in |= (*first..=*last).contains(&c);
                tail
            }
            [member, tail @ ..] => {
                is_in |= *member == c;
                tail
            }
            [] => return is_in != is_negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a/b"),
            ("a", "a"),
            ("grad_norm/*", "grad_norm/blocks.0.M_init"),
            ("*loss", "train/loss"),
            ("*a*b*", "xxaxxbxx"),
            ("?", "ä"),
            ("layer_[0-3]", "layer_2"),
            ("layer_[!0-3]", "layer_7"),
            ("[]]", "]"),
            ("[!]]", "x"),
            ("[a-]", "-"),
            ("[*]", "*"),
            ("[", "["),
            ("a[b", "a[b"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, name), "{pattern:?} should match {name:?}");
        }
    }

    #[test]
    fn patterns_do_not_match_other_names() {
        for (pattern, name) in [
            ("", "a"),
            ("a", ""),
            ("a", "ab"),
            ("b", "ab"),
            ("?", ""),
            ("?", "ab"),
            ("*loss", "loss/train"),
            ("layer_[0-3]", "layer_4"),
            ("layer_[!0-3]", "layer_0"),
            ("[!]]", "]"),
            ("[*]", "x"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern:?} should not match {name:?}");
        }
    }

    #[test]
    fn many_stars_do_not_cause_exponential_backtracking() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
        assert!(!matches(&format!("{}b", "a*".repeat(100)), &"a".repeat(10_000)));
    }
}
