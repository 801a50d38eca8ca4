//! Finds the group of a clip: the one in the manifest, or else the one in the name of the clip.

use clipshard::{Clip, Manifest};

/// A pattern of clip names that tells the group of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamePattern {
    /// Names of UCF101: `v_<Class>_g<NN>_c<NN>`. The group is `g<NN>`, such as `g08` in
    /// `v_ApplyEyeMakeup_g08_c01`.
    Ucf101,
    /// Names of HMDB51 and JHMDB: `<source>_<class>_<f|h|l|u>_<cm|nm>_np<n>_<ba|fr|le|ri>_<bad|med|goo>_<n>`.
    /// The parts after the class are the visible part of the body, the motion of the camera, the
    /// number of people, the direction of the camera, the quality, and a number.
    ///
    /// The group is the source video, such as `Faith_Rewarded` in
    /// `Faith_Rewarded_swing_baseball_f_cm_np1_ba_med_3`. Clips of several classes can have the same
    /// source. If the name does not have the class of the clip, the group is everything before the
    /// part of the body.
    Hmdb51,
}

impl NamePattern {
    const ALL: [Self; 2] = [Self::Ucf101, Self::Hmdb51];

    /// Returns the group in a name, or `None` if the name does not have the pattern. `class` is the
    /// name of the clip's class.
    fn group<'a>(self, name: &'a str, class: Option<&str>) -> Option<&'a str> {
        match self {
            Self::Ucf101 => {
                let group = name.rsplit('_').nth(1)?;
                group.strip_prefix('g').is_some_and(|number| number.len() == 2 && is_number(number)).then_some(group)
            }
            Self::Hmdb51 => {
                let mut parts = name.rsplitn(7, '_');
                let is_hmdb51 = parts.next().is_some_and(is_number)
                    && matches!(parts.next()?, "bad" | "med" | "goo")
                    && matches!(parts.next()?, "ba" | "fr" | "le" | "ri")
                    && parts.next()?.strip_prefix("np").is_some_and(is_number)
                    && matches!(parts.next()?, "cm" | "nm")
                    && matches!(parts.next()?, "f" | "h" | "l" | "u");
                let source = parts.next().filter(|source| is_hmdb51 && !source.is_empty())?;
                Some(class.map_or(source, |class| without_class(source, class)))
            }
        }
    }
}

/// Returns the group of a clip, if the manifest or the name of the clip has one.
pub(super) fn group_of<'a>(manifest: &'a Manifest, clip: &'a Clip) -> Option<&'a str> {
    let class = clip.label.and_then(|label| manifest.classes.get(label as usize));
    let own = manifest.groups.get(&clip.id).map(String::as_str);
    own.or_else(|| group_in_name(&clip.id, class.map(String::as_str)))
}

/// Returns the group in the id of a clip. Only the part after the last `/` counts.
fn group_in_name<'a>(id: &'a str, class: Option<&str>) -> Option<&'a str> {
    let name = id.rsplit('/').next()?;
    NamePattern::ALL.into_iter().find_map(|pattern| pattern.group(name, class))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// Removes `_<class>` from the end of a name, or returns the whole name if it has another end.
/// Ignores the case of letters, and treats all punctuation and spaces as equal.
fn without_class<'a>(name: &'a str, class: &str) -> &'a str {
    let is_same = |a: char, b: char| a.eq_ignore_ascii_case(&b) || !(a.is_alphanumeric() || b.is_alphanumeric());
    let mut ending = name.char_indices().rev();
    let mut start = name.len();
    for expected in class.chars().rev() {
        match ending.next() {
            Some((at, c)) if is_same(c, expected) => start = at,
            _ => return name,
        }
    }
    let source = name.get(..start).and_then(|rest| rest.strip_suffix('_'));
    source.filter(|source| !source.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_in_ucf101s_names() {
        assert_eq!(group_in_name("v_ApplyEyeMakeup_g08_c01", Some("ApplyEyeMakeup")), Some("g08"));
        assert_eq!(group_in_name("some_g11_x/v_ApplyEyeMakeup_g08_c01", None), Some("g08"));
        for other in ["clip", "v_g08", "a_g8_c1", "a_gxx_c1", "a_g_c1", "a_g081_c1", "g08_c01_x", "a_g08_c1/b", ""] {
            assert_eq!(group_in_name(other, None), None, "{other}");
        }
    }

    #[test]
    fn the_source_is_the_group_in_names_of_hmdb51() {
        // Real names, with their classes.
        for (id, class, source) in [
            ("Faith_Rewarded_swing_baseball_f_cm_np1_ba_med_3", "swing_baseball", "Faith_Rewarded"),
            ("catch/Faith_Rewarded_catch_f_cm_np1_le_bad_11", "catch", "Faith_Rewarded"),
            ("long_hair_Christa__brush_hair_u_nm_np1_le_goo_0", "brush_hair", "long_hair_Christa_"),
            ("20060723sfjffangelina_run_f_nm_np1_ba_med_0", "run", "20060723sfjffangelina"),
            ("@20_Rhythm_clap_u_nm_np1_fr_goo_1", "clap", "@20_Rhythm"),
            ("Boom__Snap__Clap!_(Challenge)_clap_u_nm_np1_fr_med_1", "clap", "Boom__Snap__Clap!_(Challenge)"),
            (
                "Golf_Tips_-_Hit_The_Driver_300+_Yards!!!_golf_f_nm_np1_fr_med_0",
                "golf",
                "Golf_Tips_-_Hit_The_Driver_300+_Yards!!!",
            ),
            // The source has the name of the class too, and parts like those after the class.
            ("clap_u_nm_clap_h_cm_np12_ri_bad_4", "clap", "clap_u_nm"),
            // The class has another spelling.
            ("kick ball/A_B_kick_ball_f_cm_np2_ba_med_0", "Kick ball", "A_B"),
            ("Härte_kick_ball_l_cm_np2_ba_med_0", "kick-ball", "Härte"),
            // The class is another one.
            ("A_B_kick_ball_f_cm_np2_ba_med_0", "sport", "A_B_kick_ball"),
            ("A_B_kick_ball_f_cm_np2_ba_med_0", "", "A_B_kick_ball"),
            ("A_ball_f_cm_np2_ba_med_0", "kick-and-more-Aäball", "A_ball"),
            // There is no source.
            ("ball_f_cm_np2_ba_med_0", "ball", "ball"),
            ("_ball_f_cm_np2_ba_med_0", "ball", "_ball"),
        ] {
            assert_eq!(group_in_name(id, Some(class)), Some(source), "{id}");
        }
        assert_eq!(group_in_name("A_B_run_f_cm_np2_ba_med_0", None), Some("A_B_run"));
        for other in [
            "A_run_f_cm_np2_ba_med_x",
            "A_run_f_cm_np2_ba_med_",
            "A_run_f_cm_np2_ba_mid_0",
            "A_run_f_cm_np2_up_med_0",
            "A_run_f_cm_np_ba_med_0",
            "A_run_f_cm_2_ba_med_0",
            "A_run_f_xx_np2_ba_med_0",
            "A_run_z_cm_np2_ba_med_0",
            "f_cm_np2_ba_med_0",
            "_f_cm_np2_ba_med_0",
        ] {
            assert_eq!(group_in_name(other, Some("run")), None, "{other}");
        }
    }
}
