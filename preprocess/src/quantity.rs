//! Numbers as people type them: sizes (`1GiB`), counts (`10k`), image sizes (`96x72`).

/// Bytes from `1GiB`, `512M`, `1.5 GB`, `4096`. `K`, `M`, `G`, `T` alone and with `iB` are powers of 1024, with `B` of 1000.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text)?;
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
        _ => return Err(format!("`{text}` is no size; write bytes, or a number with KiB, MiB or GiB, e.g. 1GiB")),
    };
    scale(number, factor, text)
}

/// A count from `250`, `10k`, `1.5M` (powers of 1000).
pub fn parse_count(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        _ => return Err(format!("`{text}` is no count; write a number, or one with k or M, e.g. 10k")),
    };
    scale(number, factor, text)
}

/// Width and height from `96x72`.
pub fn parse_width_height(text: &str) -> Result<(u16, u16), String> {
    let parse = |s: &str| s.trim().parse::<u16>().ok().filter(|&n| n > 0);
    text.split_once(['x', 'X'])
        .and_then(|(w, h)| Some((parse(w)?, parse(h)?)))
        .ok_or_else(|| format!("`{text}` is no image size; write WIDTHxHEIGHT, e.g. 96x72"))
}

/// Bytes for people: `3.0 KB`, `17.2 GB` (powers of 1000).
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

/// A count for people, in groups of three: `2,483,295`.
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

fn split_unit(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number = text[..end].parse::<f64>().map_err(|_| format!("`{text}` does not start with a number"))?;
    Ok((number, text[end..].trim()))
}

fn scale(number: f64, factor: u64, text: &str) -> Result<u64, String> {
    let value = number * factor as f64;
    if value >= 9.0e15 {
        return Err(format!("`{text}` is too large"));
    }
    Ok(value.round() as u64)
}

/// A time as people read it: `0.4 s`, `12 min`, `3 h 05 min`.
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
    }

    #[test]
    fn times_are_short() {
        let shown = [0.44, 89.0, 91.0, 720.0, 11_100.0].map(show_duration);
        assert_eq!(shown, ["0.4 s", "89.0 s", "2 min", "12 min", "3 h 05 min"]);
    }
}
