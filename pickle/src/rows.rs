//! Reads pickled scores: a dictionary by clip name, or a list.

use crate::error::{PickleError, Result, excerpt};
use crate::machine::Machine;
use crate::node::{Array, Id, Node, Tensor};
use crate::torch::Nowhere;

/// Rows of scores. Each row has one score per class.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rows {
    /// Rows of a dictionary with their names, in the order of the dictionary.
    Named(Vec<(String, Vec<f32>)>),
    /// Rows of a list, as mmaction and mmaction2 write it.
    Listed(Vec<Vec<f32>>),
}

/// Reads the rows of a pickled dictionary or list.
///
/// A row is a numpy array, a torch tensor or a list of numbers, with one score per class.
///
/// # Errors
///
/// Returns an error if the pickle has other content, or if it names a function or class that numpy
/// arrays and torch tensors do not need.
///
/// # Example
///
/// ```
/// use inert_pickle::{Rows, read_rows};
///
/// // pickle.dumps({"clip": [1, 2]}, 0)
/// let rows = read_rows(b"(dp0\nVclip\np1\n(lp2\nI1\naI2\nas.")?;
/// assert_eq!(rows, Rows::Named(vec![("clip".to_owned(), vec![1.0, 2.0])]));
/// # Ok::<(), inert_pickle::PickleError>(())
/// ```
pub fn read_rows(bytes: &[u8]) -> Result<Rows> {
    let mut machine = Machine::new(bytes);
    let top = machine.run()?;
    machine.rows(top)
}

impl Machine<'_> {
    /// Returns the rows of the object that the pickle contains.
    fn rows(&mut self, top: Id) -> Result<Rows> {
        let top = match self.node(top) {
            // np.save stores other objects than arrays in an array of one object.
            Node::Array(Some(array)) if array.shape.is_empty() => match self.node(array.data) {
                Node::List(list) => list[0],
                _ => top,
            },
            _ => top,
        };
        // Each letter of a name and each number has at least one byte in the file, unless rows
        // share them.
        self.budget = self.input.at();
        match self.node(top) {
            Node::Dict(dict) => {
                let dict = dict.clone();
                self.named_rows(dict).map(Rows::Named)
            }
            Node::List(list) => {
                let list = list.clone();
                let row = |(number, item): (usize, Id)| {
                    let scores = self.scores_of(item);
                    self.row(&|| format!("a list in which item {number}"), scores)
                };
                list.into_iter().enumerate().map(row).collect::<Result<_>>().map(Rows::Listed)
            }
            _ => Err(PickleError::NotScores(format!("{}, not a dictionary", self.describe(top)))),
        }
    }

    /// Returns the scores of an item of a list: `pred_score` of a dictionary of mmaction2, or the
    /// item.
    fn scores_of(&self, item: Id) -> Id {
        // Before version 1.2, mmaction2 wrote pred_scores = {item: ...}.
        self.value_of(item, "pred_score")
            .or_else(|| self.value_of(self.value_of(item, "pred_scores")?, "item"))
            .unwrap_or(item)
    }

    /// Returns the rows of a dictionary.
    fn named_rows(&mut self, dict: Vec<(Id, Id)>) -> Result<Vec<(String, Vec<f32>)>> {
        let mut rows = Vec::with_capacity(dict.len());
        for (key, value) in dict {
            let Some(name) = self.str(key) else {
                return Err(PickleError::NotScores(format!("a dictionary with {} among its keys", self.describe(key))));
            };
            let name = name.to_owned();
            self.spend(name.len())?;
            let row = self.row(&|| format!("a dictionary in which {}", excerpt(&name)), value)?;
            rows.push((name, row));
        }
        Ok(rows)
    }

    /// Returns a row. `place` describes its place for messages.
    fn row(&mut self, place: &dyn Fn() -> String, value: Id) -> Result<Vec<f32>> {
        let not_scores = |what: String| Err(PickleError::NotScores(format!("{} is {what}", place())));
        match self.node(value) {
            Node::Array(Some(array)) => {
                let array = array.clone();
                let items = array.shape.iter().product();
                self.spend(items)?;
                if array.shape.iter().filter(|&&size| size != 1).count() > 1 || array.shape.is_empty() {
                    return not_scores(format!("an array of shape {:?}", array.shape));
                }
                match self.floats(&array) {
                    Some(values) => Ok(values),
                    None => not_scores(format!("an array of {}", array.dtype)),
                }
            }
            Node::Tensor(tensor) => {
                let tensor: Tensor = (**tensor).clone();
                let shape = tensor.shape();
                if shape.iter().filter(|&&size| size != 1).count() > 1 || shape.is_empty() {
                    return not_scores(format!("a tensor of shape {shape:?}"));
                }
                let values = self.tensor_values(&tensor, &mut Nowhere)?;
                values.map_or_else(|| not_scores("a tensor of values that are not floats".to_owned()), Ok)
            }
            Node::List(items) | Node::Tuple(items) => {
                let values: Option<Vec<f32>> = if items.len() <= self.budget {
                    items.iter().map(|&item| self.number_of(item)).collect()
                } else {
                    None
                };
                self.spend(items.len())?;
                values.map_or_else(|| not_scores("a list of values that are not numbers".to_owned()), Ok)
            }
            _ => not_scores(self.describe(value)),
        }
    }

    /// Returns the values of an array of floats.
    pub(crate) fn floats(&self, array: &Array) -> Option<Vec<f32>> {
        let Node::Bytes(bytes) = self.node(array.data) else { return None };
        array.dtype.floats(bytes)
    }

    /// Returns the value of a number or a numpy scalar.
    fn number_of(&self, id: Id) -> Option<f32> {
        match self.node(id) {
            Node::Int(value) => Some(*value as f32),
            Node::Float(value) => Some(*value as f32),
            Node::Array(Some(array)) if array.shape.is_empty() => self.floats(array)?.first().copied(),
            _ => None,
        }
    }
}
