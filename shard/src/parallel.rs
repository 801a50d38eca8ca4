//! Maps items in parallel with the Cargo feature `rayon`, and one after the other without it.

/// Maps items, and returns the results in the order of the items.
///
/// `init` makes a state, such as a decoder, which `each` may use for several items. Threads share no
/// state.
pub(crate) fn map_init<T: Send, S, R: Send>(
    items: Vec<T>,
    init: impl Fn() -> S + Sync + Send,
    each: impl Fn(&mut S, T) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        items.into_par_iter().map_init(init, each).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        let mut state = init();
        items.into_iter().map(|item| each(&mut state, item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        let strings = map_init((0..1000).collect(), || 7, |state, item: u32| format!("{item} {state}"));
        assert!(strings.iter().enumerate().all(|(i, text)| *text == format!("{i} 7")) && strings.len() == 1000);
    }
}
