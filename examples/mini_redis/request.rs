//! Bytes to commands. Two forms: an array of strings that tell their lengths, which is what
//! programs send, and a plain line, which is what people type into `nc`.

/// Arguments of one command.
const ARGUMENTS: usize = 1024 * 1024;
/// Bytes of a plain line, and of a line with a length.
const LINE: usize = 64 * 1024;

/// A command with its arguments, and how many bytes it took. Without any it says nothing.
pub(crate) type Request<'a> = (Vec<Argument<'a>>, usize);

/// A part of what the client has sent; of a plain line with quotes it may be a copy.
pub(crate) type Argument<'a> = std::borrow::Cow<'a, [u8]>;

/// Takes the first command of `input`. `None`: its end has not come yet. An error is the text for
/// the client; what follows it cannot be understood any more.
pub(crate) fn parse(input: &[u8], limit: usize) -> Result<Option<Request<'_>>, String> {
    match input.first() {
        None => Ok(None),
        Some(b'*') => array(input, limit),
        Some(_) => plain_line(input),
    }
}

fn array(input: &[u8], limit: usize) -> Result<Option<Request<'_>>, String> {
    let Some((line, mut at)) = line(input, 0, "too big mbulk count string")? else {
        return Ok(None);
    };
    let count = number(&line[1..])
        .filter(|count| *count <= ARGUMENTS as i64)
        .ok_or("Protocol error: invalid multibulk length")?;
    let mut arguments = Vec::with_capacity(count.clamp(0, 64) as usize);
    for _ in 0..count {
        let Some((line, begin)) = self::line(input, at, "too big bulk count string")? else {
            return Ok(None);
        };
        let Some(length) = line.strip_prefix(b"$") else {
            let first = line.first().map_or(' ', |first| char::from(*first));
            return Err(format!("Protocol error: expected '$', got '{first}'"));
        };
        let length = number(length)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| begin.saturating_add(*length) <= limit)
            .ok_or("Protocol error: invalid bulk length")?;
        // Its line end is not looked at, as Redis does.
        let end = begin + length;
        if input.len() < end + 2 {
            return Ok(None);
        }
        arguments.push(Argument::Borrowed(&input[begin..end]));
        at = end + 2;
    }
    Ok(Some((arguments, at)))
}

/// The line that begins at `at`, without its end, and where the next one begins.
fn line<'a>(
    input: &'a [u8],
    at: usize,
    too_big: &str,
) -> Result<Option<(&'a [u8], usize)>, String> {
    let rest = &input[at..];
    let seen = &rest[..rest.len().min(LINE)];
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = &rest[..end];
            Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), at + end + 1)))
        }
        None if seen.len() == LINE => Err(format!("Protocol error: {too_big}")),
        None => Ok(None),
    }
}

fn plain_line(input: &[u8]) -> Result<Option<Request<'_>>, String> {
    let Some((line, len)) = line(input, 0, "too big inline request")? else { return Ok(None) };
    let mut arguments = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (argument, after) = word(rest).ok_or("Protocol error: unbalanced quotes in request")?;
        arguments.push(argument);
        rest = after.trim_ascii_start();
    }
    Ok(Some((arguments, len)))
}

/// The first word, which may be in quotes, and what is behind it.
fn word(text: &[u8]) -> Option<(Argument<'_>, &[u8])> {
    let quote = text[0];
    if quote != b'"' && quote != b'\'' {
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        return Some((Argument::Borrowed(&text[..end]), &text[end..]));
    }
    let mut word = Vec::new();
    let mut bytes = text[1..].iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quote == b'"' => match hexadecimal(&text[at + 2..]) {
                Some(byte) => {
                    word.push(byte);
                    bytes.nth(2);
                }
                None => word.push(escaped(bytes.next()?.1)),
            },
            b'\\' if text.get(at + 2) == Some(&b'\'') => word.push(bytes.next()?.1),
            byte if byte == quote => {
                let after = &text[at + 2..];
                let ends = after.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some((Argument::Owned(word), after));
            }
            byte => word.push(byte),
        }
    }
    None
}

/// The byte that `x41` means.
fn hexadecimal(text: &[u8]) -> Option<u8> {
    let [b'x', high, low, ..] = text else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

fn escaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        byte => byte,
    }
}

/// A number as Redis takes it: nothing before it, nothing behind it.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    // No `+7`, no `007`.
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.starts_with('+') && (digits == "0" || !digits.starts_with('0'));
    (is_plain && text != "-0").then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{LINE, number, parse};

    const LIMIT: usize = 1 << 20;

    fn words(input: &[u8]) -> Vec<Vec<u8>> {
        let (arguments, len) = parse(input, LIMIT).expect("understood").expect("whole");
        assert_eq!(len, input.len());
        arguments.into_iter().map(std::borrow::Cow::into_owned).collect()
    }

    fn problem(input: &[u8]) -> String {
        parse(input, LIMIT).expect_err("not understood")
    }

    #[test]
    fn array_of_strings() {
        assert_eq!(words(b"*1\r\n$4\r\nPING\r\n"), [b"PING"]);
        assert_eq!(words(b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\0\n\r\n"), [&b"GET"[..], b"\r\n\0\n"]);
        assert_eq!(words(b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"), [&b"ECHO"[..], b""]);
        assert!(words(b"*0\r\n").is_empty());
        assert!(words(b"*-1\r\n").is_empty());
    }

    #[test]
    fn plain_lines() {
        assert_eq!(words(b"  SET  key value \r\n"), [&b"SET"[..], b"key", b"value"]);
        assert_eq!(words(b"ECHO \"a \\\"b\\\" \\n\"\n"), [&b"ECHO"[..], b"a \"b\" \n"]);
        assert_eq!(words(b"ECHO 'it\\'s' ''\n"), [&b"ECHO"[..], b"it's", b""]);
        assert_eq!(words(b"\"\\x41\\xfF\\xg\"\n"), [b"A\xffxg"]);
        assert!(words(b"\r\n").is_empty());
    }

    /// However the network cuts it: nothing is understood before the end, and nothing is lost.
    #[test]
    fn split_at_every_byte() {
        let commands: [&[u8]; 5] = [
            b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\n*1\r\n$4\r\nPING\r\n",
            b"PING\r\n",
            b"*1\r\n$4\r\nQUIT\r\n",
            b"ECHO 'a b' \"c\"\n",
            b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
        ];
        for command in commands {
            for end in 0..command.len() {
                assert_eq!(parse(&command[..end], LIMIT), Ok(None), "{end} bytes of {command:?}");
            }
        }
        // All of them as one stream, a byte at a time.
        let (mut input, mut seen) = (Vec::new(), Vec::new());
        for byte in commands.concat() {
            input.push(byte);
            let Some((arguments, len)) = parse(&input, LIMIT).expect("understood") else {
                continue;
            };
            seen.push(arguments.into_iter().map(std::borrow::Cow::into_owned).collect::<Vec<_>>());
            assert_eq!(len, input.len());
            input.clear();
        }
        let expected = commands.map(words);
        assert_eq!(seen, expected);
        assert!(input.is_empty());
    }

    #[test]
    fn many_in_one_read() {
        let input = b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPI";
        let (first, len) = parse(input, LIMIT).expect("understood").expect("whole");
        assert_eq!((first.len(), len), (1, 14));
        let (second, more) = parse(&input[len..], LIMIT).expect("understood").expect("whole");
        assert_eq!((&*second[0], more), (&b"PING"[..], 6));
        assert_eq!(parse(&input[len + more..], LIMIT), Ok(None));
    }

    #[test]
    fn what_cannot_be_understood() {
        assert_eq!(problem(b"*x\r\n"), "Protocol error: invalid multibulk length");
        assert_eq!(problem(b"*1048577\r\n"), "Protocol error: invalid multibulk length");
        assert_eq!(problem(b"*1\r\nPING\r\n"), "Protocol error: expected '$', got 'P'");
        assert_eq!(problem(b"*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
        assert_eq!(problem(b"*1\r\n$x\r\n"), "Protocol error: invalid bulk length");
        assert_eq!(problem(b"SET 'a\r\n"), "Protocol error: unbalanced quotes in request");
        assert_eq!(problem(b"SET 'a'b\r\n"), "Protocol error: unbalanced quotes in request");
    }

    /// It says so before the bytes are there: nobody can make the server hold more.
    #[test]
    fn what_is_too_big() {
        let mut input = b"*1\r\n$".to_vec();
        input.extend_from_slice(format!("{LIMIT}\r\n").as_bytes());
        assert_eq!(problem(&input), "Protocol error: invalid bulk length");
        let huge = b"*1\r\n$9223372036854775807\r\n";
        assert_eq!(problem(huge), "Protocol error: invalid bulk length");
        let endless = vec![b'a'; LINE];
        assert_eq!(problem(&endless), "Protocol error: too big inline request");
        assert_eq!(parse(&endless[1..], LIMIT), Ok(None));
        let digits = [b"*".as_slice(), &vec![b'1'; LINE]].concat();
        assert_eq!(problem(&digits), "Protocol error: too big mbulk count string");
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"-9223372036854775808"), Some(i64::MIN));
        for wrong in ["", "-", "+1", "01", "-0", "1 ", "9223372036854775808", "x"] {
            assert_eq!(number(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
