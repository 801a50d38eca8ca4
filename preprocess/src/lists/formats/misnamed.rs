//! Recognises the header of a CSV file whose columns have other names.

use clipshard::Subset;

use super::custom::Row;
use crate::lists::reading::clips::strip_extension;
use crate::lists::reading::rows::Record;
use crate::lists::subset::subset_of_word;

/// Words that name columns in lists of others.
const HEADER_WORDS: [&str; 26] = [
    "path",
    "video",
    "videos",
    "video_path",
    "video_name",
    "video_id",
    "file",
    "filename",
    "file_name",
    "file_path",
    "clip",
    "clip_id",
    "name",
    "id",
    "label",
    "labels",
    "class",
    "class_name",
    "class_id",
    "category",
    "action",
    "split",
    "subset",
    "set",
    "fold",
    "partition",
];

/// The error of a header that is not recognised.
pub(super) const MISNAMED: &str = "the line looks like a header; name its columns path,label,split";

/// Returns whether a first row has at least two usual names of columns, and no subset in its third
/// value.
pub(super) fn has_header_words(record: &Record) -> bool {
    let is_word = |value: &&str| HEADER_WORDS.contains(&value.to_ascii_lowercase().as_str());
    record.iter().filter(is_word).count() >= 2 && record.get(2).is_none_or(|word| subset_of_word(word).is_none())
}

/// Returns whether a first row seems to be a header: it has usual names of columns, or it is unlike
/// all `others`, which are paths with a folder or an ending, with other classes and known subsets.
pub(super) fn is_misnamed_header(record: &Record, others: &[Row]) -> bool {
    let value = |at: usize| record.get(at).unwrap_or_default();
    let is_path = |text: &str| text.contains(['/', '\\']) || strip_extension(text) != text;
    let is_known = |row: &Row| {
        is_path(&row.path)
            && row.label.as_deref() != Some(value(1))
            && row.subsets.iter().flatten().all(|subset| !matches!(subset, Subset::Other(_)))
    };
    has_header_words(record)
        || subset_of_word(value(2)).is_none() && !is_path(value(0)) && !others.is_empty() && others.iter().all(is_known)
}

#[cfg(test)]
mod tests {
    use crate::error::Result;
    use crate::lists::Lists;
    use crate::lists::reading::text::tests::folder;

    fn read(text: &str) -> Result<Lists> {
        Lists::read_custom(folder(&[("clips.csv", text)]).path())
    }

    #[test]
    fn headers_with_other_names_are_no_clips() {
        for text in [
            "video,class,subset\na.mp4,x,train\n",
            "video,class,subset\n",
            "\nvideo;class\na.mp4;x;train\n",
            "Name,label,Subset,fps,caption\na,x,train,25,b\n",
            "path,class,set\na,x,train\n",
            "Datei,Klasse,Teil\nx/a,x,train\nb.mp4,y,test\n",
        ] {
            let error = read(text).unwrap_err().to_string();
            let line = if text.starts_with('\n') { 2 } else { 1 };
            let expected = format!("line {line}: the line looks like a header; name its columns path,label,split");
            assert!(error.ends_with(&expected), "{text:?}: {error}");
        }
        for text in
            ["a,x,Hard\nb/c.mp4,x,train\n", "a,x,Hard\nb,y,train\n", "a.mp4,x,Hard\nb.mp4,y,test\n", "a,x,Hard\n"]
        {
            assert!(read(text).is_ok(), "{text:?}");
        }
        assert_eq!(read("video,class,train\nb.mp4,x,test\n").unwrap().clips.len(), 2);
    }
}
