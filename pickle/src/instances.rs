//! Objects of classes that are not known: an `argparse.Namespace`, a `datetime`, a whole `torch.nn.Module`. Their content is
//! kept. Nothing of their classes is imported or run.

use crate::error::Result;
use crate::machine::Machine;
use crate::node::{Global, Id, Node};
use crate::op;

/// How many unknown names are kept for messages.
const MAX_NAMES: usize = 16;

impl<'a> Machine<'a> {
    /// A name that is not known.
    pub(crate) fn note_unknown(&mut self, name: String) -> Global {
        let place = self.unknown.iter().position(|known| *known == name);
        Global::Unknown(place.unwrap_or_else(|| {
            if self.unknown.len() < MAX_NAMES {
                self.unknown.push(name);
            }
            // Of the many, the last one stands for the rest.
            self.unknown.len() - 1
        }))
    }

    /// `INST`, `OBJ`, `NEWOBJ` and `NEWOBJ_EX`: an object of a class, with arguments that are not looked at.
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

    /// `EMPTY_SET`, `FROZENSET` and `ADDITEMS`: sets are kept as lists.
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

    /// A list of the same items.
    pub(crate) fn listed(&mut self, items: Id) -> Result<Node<'a>> {
        let (Node::List(items) | Node::Tuple(items)) = self.node(items) else {
            return self.malformed("a set of what is no list");
        };
        let length = items.len();
        let items = if length <= self.budget { items.clone() } else { Vec::new() };
        self.spend(length)?;
        Ok(Node::List(items))
    }

    /// Keys and values of a dictionary, or of an object that is a kind of one.
    pub(crate) fn items(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(items) => Some(items),
            Node::Object(object) if object.state.is_none() || !object.items.is_empty() => Some(&object.items),
            _ => None,
        }
    }

    /// An attribute of an object: of its state, or of the first part of a state with slots.
    pub(crate) fn attribute(&self, object: Id, name: &str) -> Option<Id> {
        let Node::Object(object) = self.node(object) else { return None };
        let state = object.state?;
        match self.node(state) {
            Node::Tuple(parts) => self.value_of(*parts.first()?, name),
            _ => self.value_of(state, name),
        }
    }
}
