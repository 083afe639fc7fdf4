//! The patterns of `KEYS`: `*` anything, `?` any byte, `[a-z]` one of these, `[^a-z]` none of
//! these, `\` before a byte that is meant as it is.

/// Whether all of `text` is meant by `pattern`. What a `*` stands for is tried from the shortest
/// on, and only the last one is ever tried again, so it takes no more than both lengths multiplied.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut at) = (pattern, 0);
    let mut last_star = None;
    loop {
        if let Some(after) = rest.strip_prefix(b"*") {
            rest = after;
            last_star = Some((after, at));
            continue;
        }
        let matched = text.get(at).and_then(|byte| one(rest, *byte));
        match (matched, &mut last_star) {
            (Some(after), _) => {
                rest = after;
                at += 1;
            }
            (None, _) if rest.is_empty() && at == text.len() => return true,
            (None, Some((after, begin))) if *begin < text.len() => {
                *begin += 1;
                (rest, at) = (after, *begin);
            }
            (None, _) => return false,
        }
    }
}

/// The pattern behind the part that means one byte, if it means this one.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', meant, rest @ ..] | [meant, rest @ ..] => (*meant == byte).then_some(rest),
    }
}

fn class(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (is_negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut is_in = false;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', meant, after @ ..] => {
                is_in |= *meant == byte;
                after
            }
            [from, b'-', to, after @ ..] => {
                is_in |= (*from.min(to)..=*from.max(to)).contains(&byte);
                after
            }
            [meant, after @ ..] => {
                is_in |= *meant == byte;
                after
            }
        };
    }
    (is_in != is_negated).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let yes = [
            ("*", ""),
            ("*", "anything"),
            ("user:*", "user:1"),
            ("*:1", "user:1"),
            ("a*b*c", "a-b-b-c"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[a-e]llo", "hcllo"),
            ("h[e-a]llo", "hcllo"),
            ("h[^e]llo", "hallo"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("", ""),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} means {text}");
        }
        let no = [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("a*", "ba"),
            ("*a", "ab"),
            ("h[^e]llo", "hello"),
            ("\\*", "a"),
            ("[a", "b"),
            ("a*b*c", "a-c-b"),
        ];
        for (pattern, text) in no {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} does not mean {text}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "a*".repeat(1000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(10_000).as_bytes()));
    }
}
