//! Finds the weights in a file.

use super::tensors::{NamedTensor, Storages, Tensors};
use crate::error::{PickleError, Result, excerpt};
use crate::machine::Machine;
use crate::node::{Id, Node};
use std::collections::{HashMap, HashSet};

/// The keys under which training scripts store weights, the most likely first.
const KEYS: [&str; 14] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "net_state_dict",
    "weights",
    "params",
    "backbone",
    "state_dict_ema",
    "model_ema",
    "ema",
];
/// Largest number of nested dictionaries in which weights are looked for.
const MAX_DEPTH: usize = 5;
/// Number of keys that an error message names.
const SHOWN: usize = 8;

/// Names of tensors, with the objects that they name.
type Named = Vec<(String, Id)>;

impl Machine<'_> {
    /// Returns the tensors in the object that a file contains.
    pub(super) fn tensors(&mut self, top: Id, outside: &mut dyn Storages) -> Result<Tensors> {
        let mut path = Vec::new();
        let Some(named) = self.find(top, &mut path)? else {
            // A call that was not run may have returned the tensors, so the error names it.
            return Err(match self.called.and_then(|called| self.unknown.get(called)) {
                Some(called) => PickleError::Calls(called.clone()),
                None => PickleError::NotTensors(self.keys_of(top)),
            });
        };
        let mut tensors = Vec::with_capacity(named.len());
        for (name, id) in named {
            self.spend(name.len())?;
            let (shape, values) = match self.node(id) {
                Node::Tensor(tensor) => {
                    let tensor = (**tensor).clone();
                    let values = self.tensor_values(&tensor, outside)?;
                    (tensor.shape().to_vec(), values)
                }
                Node::Array(Some(array)) => {
                    let array = array.clone();
                    self.spend(array.shape.iter().product())?;
                    (array.shape.clone(), self.floats(&array))
                }
                _ => continue,
            };
            if let Some(values) = values {
                tensors.push(NamedTensor { name, shape, values });
            }
        }
        if tensors.is_empty() {
            return Err(PickleError::NotTensors("a dictionary without floating-point tensors".to_owned()));
        }
        Ok(Tensors { tensors, path: path.join(".") })
    }

    /// Finds the first object that has tensors: the value under one of [`KEYS`], otherwise the
    /// object itself, otherwise the value under another key. `path` becomes the keys that lead to
    /// it.
    fn find(&mut self, id: Id, path: &mut Vec<String>) -> Result<Option<Named>> {
        if self.is_module(id) {
            return self.module_tensors(id).map(Some);
        }
        let Some(items) = self.items(id) else { return Ok(None) };
        let length = items.len();
        self.spend(length)?;
        let items = self.items(id).unwrap_or_default().to_vec();
        let mut below: Vec<(String, Id)> = Vec::new();
        if path.len() < MAX_DEPTH {
            for known in KEYS {
                if let Some(value) = self.value_of(id, known).filter(|&value| self.may_have_tensors(value)) {
                    below.push((known.to_owned(), value));
                }
            }
        }
        if let Some(found) = self.find_below(below, path)? {
            return Ok(Some(found));
        }
        let here: Named = self.own_tensors(&items);
        // A single number, such as the best accuracy, is not a weight.
        let is_weight = |&(_, value): &(String, Id)| match self.node(value) {
            Node::Tensor(tensor) => !tensor.shape().is_empty(),
            Node::Array(Some(array)) => !array.shape.is_empty(),
            _ => false,
        };
        if here.iter().any(is_weight) {
            return Ok(Some(here));
        }
        if path.len() < MAX_DEPTH {
            let is_other = |key: &&str| !KEYS.contains(key) && !key.to_lowercase().contains("optim");
            let other = |&(key, value): &(Id, Id)| {
                let key = self.str(key).filter(is_other)?;
                self.may_have_tensors(value).then(|| (excerpt(key), value))
            };
            let others = items.iter().filter_map(other).collect();
            if let Some(found) = self.find_below(others, path)? {
                return Ok(Some(found));
            }
        }
        Ok(if here.is_empty() { None } else { Some(here) })
    }

    /// Finds the first of several objects that has tensors.
    fn find_below(&mut self, below: Vec<(String, Id)>, path: &mut Vec<String>) -> Result<Option<Named>> {
        for (key, value) in below {
            path.push(key);
            if let Some(found) = self.find(value, path)? {
                return Ok(Some(found));
            }
            path.pop();
        }
        Ok(None)
    }

    fn may_have_tensors(&self, id: Id) -> bool {
        matches!(self.node(id), Node::Dict(_) | Node::Object(_))
    }

    /// Returns the tensors and arrays of a dictionary, each name once.
    fn own_tensors(&self, items: &[(Id, Id)]) -> Named {
        let mut places = HashMap::new();
        let mut found: Named = Vec::new();
        for &(key, value) in items {
            let (Some(name), Node::Tensor(_) | Node::Array(Some(_))) = (self.str(key), self.node(value)) else {
                continue;
            };
            // If a name occurs several times, the last value has replaced the others.
            if let Some(&place) = places.get(name) {
                found[place as usize] = (name.to_owned(), value);
            } else {
                places.insert(name, found.len() as u32);
                found.push((name.to_owned(), value));
            }
        }
        found
    }

    /// Returns whether an object is a pickled `torch.nn.Module`.
    fn is_module(&self, id: Id) -> bool {
        self.attribute(id, "_parameters").is_some() && self.attribute(id, "_modules").is_some()
    }

    /// Returns the state dictionary of a pickled `torch.nn.Module`: the parameters and persistent
    /// buffers of the module and all of its submodules.
    fn module_tensors(&mut self, top: Id) -> Result<Named> {
        let mut named = Vec::new();
        let mut open = vec![(String::new(), top)];
        while let Some((prefix, module)) = open.pop() {
            let part = |machine: &Self, name: &str| -> Vec<(Id, Id)> {
                let part = machine.attribute(module, name).and_then(|id| machine.items(id));
                part.unwrap_or_default().to_vec()
            };
            let parts = ["_parameters", "_buffers", "_modules"].map(|name| part(self, name));
            let not_persistent: HashSet<&str> =
                match self.attribute(module, "_non_persistent_buffers_set").map(|id| self.node(id)) {
                    Some(Node::List(names)) => names.iter().filter_map(|&name| self.str(name)).collect(),
                    _ => HashSet::new(),
                };
            // A module that is shared, or contains itself, costs as much each time.
            let items = parts.iter().map(Vec::len).sum::<usize>() + not_persistent.len() + 1;
            let cost = items.saturating_mul(prefix.len() + 1);
            let [parameters, buffers, modules] = parts;
            for (key, value) in parameters.into_iter().chain(buffers) {
                let (Some(name), Node::Tensor(_)) = (self.str(key), self.node(value)) else { continue };
                if !not_persistent.contains(name) {
                    named.push((format!("{prefix}{name}"), value));
                }
            }
            self.spend(cost)?;
            for (key, value) in modules.into_iter().rev() {
                let Some(name) = self.str(key).map(|name| format!("{prefix}{name}.")) else { continue };
                if self.is_module(value) {
                    self.spend(name.len())?;
                    open.push((name, value));
                }
            }
        }
        Ok(named)
    }

    /// Describes the content of a file for a message.
    fn keys_of(&self, top: Id) -> String {
        let Some(items) = self.items(top) else { return self.describe(top) };
        let keys: Vec<String> = items.iter().filter_map(|&(key, _)| self.str(key)).take(SHOWN).map(excerpt).collect();
        let more = if items.len() > keys.len() { ", ..." } else { "" };
        if keys.is_empty() { self.describe(top) } else { format!("a dictionary with {}{more}", keys.join(", ")) }
    }
}
