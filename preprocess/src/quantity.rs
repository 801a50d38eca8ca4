//! Parses and prints numbers for people: sizes (`1GiB`), counts (`10k`), image sizes (`96x72`), times (`12 min`).

/// Parses a size in bytes, such as `1GiB`, `512M`, `1.5 GB` or `4096`.
///
/// `K`, `M`, `G` and `T`, alone or with `iB`, are powers of 1024. With `B`, they are powers of 1000.
///
/// # Errors
/// Returns a message if the text is not a size, or too large.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; use bytes or a unit, e.g. 512MiB, 1GiB or 2GB");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        "t" | "ti" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    scale(number, factor, text)
}

/// Parses a count, such as `250`, `10k` or `1.5M`. Units are powers of 1000.
///
/// # Errors
/// Returns a message if the text is not a count, or too large.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a count; use a number, e.g. 250, 10k or 1.5M");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    scale(number, factor, text)
}

/// Parses a width and a height, such as `96x72`.
///
/// # Errors
/// Returns a message if the text has another form, or a side is 0 or above 65,535.
pub fn parse_width_height(text: &str) -> Result<(u16, u16), String> {
    let parse = |s: &str| s.trim().parse::<u16>().ok().filter(|&n| n > 0);
    text.split_once(['x', 'X'])
        .and_then(|(w, h)| Some((parse(w)?, parse(h)?)))
        .ok_or_else(|| format!("`{text}` is not an image size; use WIDTHxHEIGHT, e.g. 96x72"))
}

/// Formats a number of bytes: `3.0 KB`, `17.2 GB`. Units are powers of 1000.
pub fn show_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if value < 999.95 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// Formats a count with digits in groups of three: `2,483,295`.
pub fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a count with its noun: `1 class`, `2,483 classes`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", show_count(count), if count == 1 { one } else { many })
}

/// Splits a text into its number and its unit. Returns `None` if it does not start with a number.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

fn scale(number: f64, factor: u64, text: &str) -> Result<u64, String> {
    let value = number * factor as f64;
    if value >= 9.0e15 {
        return Err(format!("`{text}` is too large"));
    }
    Ok(value.round() as u64)
}

/// Formats a time: `0.4 s`, `12 min`, `3 h 05 min`.
pub fn show_duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match seconds {
        ..90.0 => format!("{seconds:.1} s"),
        ..5400.0 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_and_decimal_units() {
        for (text, bytes) in [
            ("1GiB", 1 << 30),
            ("1g", 1 << 30),
            ("64 MiB", 64 << 20),
            ("1.5k", 1536),
            ("2GB", 2_000_000_000),
            ("4096", 4096),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "1XB", "-1", "1e30T", "99999999999999T"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_take_k_and_m() {
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert_eq!(parse_count("1.5M"), Ok(1_500_000));
        assert_eq!(parse_count("7"), Ok(7));
        assert!(parse_count("10KiB").is_err());
    }

    #[test]
    fn image_sizes_are_width_x_height() {
        assert_eq!(parse_width_height("96x72"), Ok((96, 72)));
        for text in ["96", "0x5", "ax2", "70000x2"] {
            assert!(parse_width_height(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_read_rounded_numbers() {
        assert_eq!(show_bytes(999), "999 B");
        assert_eq!(show_bytes(3_040), "3.0 KB");
        assert_eq!(show_bytes(17_200_000_000), "17.2 GB");
        assert_eq!(show_count(2_483_295), "2,483,295");
        assert_eq!(show_count(95), "95");
        assert_eq!([0, 1, 2_483].map(|n| counted(n, "class", "classes")), ["0 classes", "1 class", "2,483 classes"]);
    }

    #[test]
    fn times_are_short() {
        let shown = [0.44, 89.0, 91.0, 720.0, 11_100.0].map(show_duration);
        assert_eq!(shown, ["0.4 s", "89.0 s", "2 min", "12 min", "3 h 05 min"]);
    }
}
