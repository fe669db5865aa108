//! The values that live through a run: variables and optimizer states, side by side in one region.
//!
//! Each has its place for the whole run, so that every program compiled meanwhile finds it there.

use crate::ir::dim::Sizes;
use crate::ir::graph::Type;
use crate::loops::memory::Region;
use crate::runtime::error::RunError;
use crate::runtime::limits::{self, Budget};
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// In which precision values are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    /// As declared.
    Declared,
    /// Everything as f64, for the reference backend.
    Double,
}

#[derive(Clone, Debug)]
struct Slot {
    offset: u64,
    dtype: DType,
    shape: Vec<usize>,
}

#[derive(Debug)]
pub struct Store {
    region: Region,
    /// Shared by all programs: nothing in it outlives a step.
    scratch: Region,
    precision: Precision,
    slots: BTreeMap<Arc<str>, Slot>,
    /// Changes whenever a name gets another place: what was compiled before is then useless.
    generation: u64,
}

/// Every value starts at a multiple of this, in bytes.
const ALIGNMENT: usize = 64;

/// What a value of fixed size takes of the region.
pub fn bytes_of(ty: &Type) -> u64 {
    let elements: i64 = ty.shape.iter().map(|d| d.as_const().unwrap_or(0)).product();
    (elements as u64 * ty.dtype.bytes() as u64).next_multiple_of(ALIGNMENT as u64)
}

impl Store {
    pub fn new(precision: Precision) -> Store {
        Store {
            region: Region::default(),
            scratch: Region::default(),
            precision,
            slots: BTreeMap::new(),
            generation: 0,
        }
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn is_double(&self) -> bool {
        self.precision == Precision::Double
    }

    /// Of all values together.
    pub fn bytes(&self) -> u64 {
        self.region.len() as u64
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Makes room for values; one that has a place of the same type keeps it. New places are zeroed.
    pub fn reserve<'a>(
        &mut self,
        values: impl IntoIterator<Item = (&'a Arc<str>, &'a Type)>,
        sizes: &Sizes,
        budget: &mut Budget,
    ) -> Result<(), RunError> {
        let mut end = self.region.len();
        for (name, ty) in values {
            let shape = limits::shape(ty, sizes, name, budget.span)?;
            let known = self.slots.get(name).is_some_and(|s| s.dtype == ty.dtype && s.shape == shape);
            if known {
                continue;
            }
            let count: usize = shape.iter().product();
            let slot = Slot { offset: end as u64, dtype: ty.dtype, shape };
            end += (count * self.kept(ty.dtype).bytes()).next_multiple_of(ALIGNMENT);
            if self.slots.insert(name.clone(), slot).is_some() {
                self.generation += 1;
            }
        }
        if end > self.region.len() {
            let mut wider = budget.region(end - self.region.len(), end, "the variables")?;
            wider.bytes_mut()[..self.region.len()].copy_from_slice(self.region.bytes());
            self.region = wider;
        }
        Ok(())
    }

    /// Makes room for the values of a step.
    pub fn reserve_scratch(&mut self, bytes: usize, budget: &mut Budget) -> Result<(), RunError> {
        let have = self.scratch.len();
        if bytes > have {
            self.scratch = budget.region(bytes - have, bytes, "the values of one step")?;
        }
        Ok(())
    }

    /// The region of the values and the one of a step.
    pub fn regions(&mut self) -> (&mut Region, &mut Region) {
        (&mut self.region, &mut self.scratch)
    }

    fn kept(&self, dtype: DType) -> DType {
        match self.precision {
            Precision::Declared => dtype,
            Precision::Double => DType::F64,
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// Every value by its name.
    pub fn values(&self) -> Vec<(String, Tensor)> {
        self.slots.keys().filter_map(|name| Some((name.to_string(), self.read(name)?))).collect()
    }

    /// Where each value lies: bytes from the start of the region.
    pub fn places(&self) -> BTreeMap<Arc<str>, u64> {
        self.slots.iter().map(|(name, slot)| (name.clone(), slot.offset)).collect()
    }

    /// The value of that name, in the precision it is kept in.
    pub fn read(&self, name: &str) -> Option<Tensor> {
        let slot = self.slots.get(name)?;
        Some(self.region.read(slot.offset as usize, self.kept(slot.dtype), &slot.shape))
    }

    /// Sets a value; it is rounded if it is kept in less precision than it has.
    ///
    /// # Panics
    /// If there is no place of that name, or the number of elements differs.
    pub fn write(&mut self, name: &str, value: &Tensor) {
        let slot = &self.slots[name];
        assert_eq!(value.len(), slot.shape.iter().product::<usize>(), "elements of {name}");
        let value = value.cast(self.kept(slot.dtype));
        self.region.write(slot.offset as usize, &value);
    }
}
