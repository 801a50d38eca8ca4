//! Latin letters with accents, U+00C0 to U+017F: their base letters, and their two forms in Unicode.

/// Letters and their base letters, by accent.
const ACCENTS: [(char, &str); 13] = [
    ('\u{300}', "ÀA ÈE ÌI ÒO ÙU àa èe ìi òo ùu"),
    ('\u{301}', "ÁA ÉE ÍI ÓO ÚU ÝY áa ée íi óo úu ýy ĆC ćc ĹL ĺl ŃN ńn ŔR ŕr ŚS śs ŹZ źz"),
    ('\u{302}', "ÂA ÊE ÎI ÔO ÛU âa êe îi ôo ûu ĈC ĉc ĜG ĝg ĤH ĥh ĴJ ĵj ŜS ŝs ŴW ŵw ŶY ŷy"),
    ('\u{303}', "ÃA ÑN ÕO ãa ñn õo ĨI ĩi ŨU ũu"),
    ('\u{304}', "ĀA āa ĒE ēe ĪI īi ŌO ōo ŪU ūu"),
    ('\u{306}', "ĂA ăa ĔE ĕe ĞG ğg ĬI ĭi ŎO ŏo ŬU ŭu"),
    ('\u{307}', "ĊC ċc ĖE ėe ĠG ġg İI ŻZ żz"),
    ('\u{308}', "ÄA ËE ÏI ÖO ÜU äa ëe ïi öo üu ÿy ŸY"),
    ('\u{30a}', "ÅA åa ŮU ůu"),
    ('\u{30b}', "ŐO őo ŰU űu"),
    ('\u{30c}', "ČC čc ĎD ďd ĚE ěe ĽL ľl ŇN ňn ŘR řr ŠS šs ŤT ťt ŽZ žz"),
    ('\u{327}', "ÇC çc ĢG ģg ĶK ķk ĻL ļl ŅN ņn ŖR ŗr ŞS şs ŢT ţt"),
    ('\u{328}', "ĄA ąa ĘE ęe ĮI įi ŲU ųu"),
];
/// Letters without another form, and the letters that resemble them.
const OTHERS: &str = "ÆA ÐD ØO ÞP ßs æa ðd øo þp ĐD đd ĦH ħh ıi ĲI ĳi ĸk ĿL ŀl ŁL łl ŉn ŊN ŋn ŒO œo ŦT ŧt ſs";

/// Returns a letter with an accent and its base letter for each pair of a list.
fn pairs(list: &str) -> impl Iterator<Item = (char, char)> {
    list.split(' ').filter_map(|pair| pair.chars().next().zip(pair.chars().nth(1)))
}

/// Returns the base letter of a Latin letter with an accent. Returns other characters unchanged.
pub(crate) fn without_accent(letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    let lists = ACCENTS.iter().map(|(_, list)| *list).chain([OTHERS]);
    lists.flat_map(pairs).find(|(accented, _)| *accented == letter).map_or(letter, |(_, base)| base)
}

/// Returns whether a character is an accent on the letter before it.
pub(crate) fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// Returns a name in which a letter and the accent after it are one character (`e` and U+0301 become `é`), so that
/// both forms of a name compare equal. Composes Latin letters from U+00C0 to U+017F only.
pub(crate) fn composed(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let list = ACCENTS.iter().find(|(mark, _)| *mark == c).map(|(_, list)| *list);
        let whole = list.zip(out.chars().last()).and_then(|(list, last)| pairs(list).find(|(_, base)| *base == last));
        match whole {
            Some((letter, _)) => {
                out.pop();
                out.push(letter);
            }
            None => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_the_table_has_a_base_letter() {
        for letter in '\u{c0}'..='\u{17f}' {
            assert!(without_accent(letter).is_ascii_alphabetic() || "×÷".contains(letter), "{letter}");
        }
        assert_eq!(['é', 'Ł', 'ß', 'e', '日'].map(without_accent), ['e', 'L', 's', 'e', '日']);
    }

    #[test]
    fn accents_join_their_letters() {
        assert_eq!(composed("e\u{301}te\u{301} 1, c\u{327}a"), "été 1, ça");
        assert_eq!(composed("plain"), "plain");
        assert_eq!(composed("\u{301}e q\u{301}"), "\u{301}e q\u{301}");
    }
}
