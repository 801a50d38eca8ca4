//! Objects of unknown classes, such as an `argparse.Namespace`, a `datetime` or a
//! `torch.nn.Module`.
//!
//! Their content is kept. Nothing of their classes is imported or run.

use crate::error::Result;
use crate::machine::Machine;
use crate::node::{Global, Id, Node};
use crate::op;

/// Number of unknown names that are kept for messages.
const MAX_NAMES: usize = 16;

impl<'a> Machine<'a> {
    /// Records an unknown name.
    pub(crate) fn note_unknown(&mut self, name: String) -> Global {
        let place = self.unknown.iter().position(|known| *known == name);
        Global::Unknown(place.unwrap_or_else(|| {
            if self.unknown.len() < MAX_NAMES {
                self.unknown.push(name);
            }
            // All further names are replaced by the last recorded one.
            self.unknown.len() - 1
        }))
    }

    /// Executes `INST`, `OBJ`, `NEWOBJ` and `NEWOBJ_EX`, which create an object of a class. The
    /// arguments are ignored.
    pub(crate) fn instance(&mut self, code: u8) -> Result<()> {
        match code {
            op::INST => {
                self.global_of_lines()?;
                self.pop_to_mark()?;
            }
            op::OBJ => {
                self.pop_to_mark()?;
            }
            op::NEWOBJ => {
                let class = self.pop_many(2)?[0];
                if let Node::Global(Global::OrderedDict | Global::DefaultDict) = self.node(class) {
                    self.push(Node::Dict(Vec::new()));
                    return Ok(());
                }
            }
            _ => {
                self.pop_many(3)?;
            }
        }
        self.push(Node::object());
        Ok(())
    }

    /// Executes `EMPTY_SET`, `FROZENSET` and `ADDITEMS`. Sets are kept as lists.
    pub(crate) fn set(&mut self, code: u8) -> Result<()> {
        match code {
            op::EMPTY_SET => self.push(Node::List(Vec::new())),
            op::FROZENSET => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            _ => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
        }
        Ok(())
    }

    /// Copies the items of a list or tuple to a new list.
    pub(crate) fn listed(&mut self, items: Id) -> Result<Node<'a>> {
        let (Node::List(items) | Node::Tuple(items)) = self.node(items) else {
            return self.malformed("a set is not made from a list");
        };
        let length = items.len();
        let items = if length <= self.budget { items.clone() } else { Vec::new() };
        self.spend(length)?;
        Ok(Node::List(items))
    }

    /// Returns keys and values of a dictionary, or of an object that is a kind of dictionary.
    pub(crate) fn items(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(items) => Some(items),
            Node::Object(object) if object.state.is_none() || !object.items.is_empty() => Some(&object.items),
            _ => None,
        }
    }

    /// Returns an attribute of an object from its state, or from the first part of a state with
    /// slots.
    pub(crate) fn attribute(&self, object: Id, name: &str) -> Option<Id> {
        let Node::Object(object) = self.node(object) else { return None };
        let state = object.state?;
        match self.node(state) {
            Node::Tuple(parts) => self.value_of(*parts.first()?, name),
            _ => self.value_of(state, name),
        }
    }
}
