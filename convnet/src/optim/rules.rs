//! The update rules on the CPU, in place.

use crate::cpu::dense;
use crate::cpu::parallel::ELEMENTWISE_BLOCK;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result};
use rayon::prelude::*;

const BLOCK: usize = ELEMENTWISE_BLOCK;

/// `p -= lr · (g + weight_decay · p)`
pub(super) struct Plain {
    pub lr: f32,
    pub weight_decay: f32,
}

impl InplaceOp2 for Plain {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(&self, var: &mut CpuStorage, vl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<()> {
        let var = dense::slice_mut(var, vl, self.name())?;
        let grad = dense::slice::<f32>(grad, gl, self.name())?;
        var.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).for_each(|(var, grad)| {
            for (p, g) in var.iter_mut().zip(grad) {
                *p -= self.lr * (g + self.weight_decay * *p);
            }
        });
        Ok(())
    }
}

/// `buf = momentum · buf + g + weight_decay · p`
pub(super) struct Accumulate {
    pub momentum: f32,
    pub weight_decay: f32,
}

impl InplaceOp3 for Accumulate {
    fn name(&self) -> &'static str {
        "sgd-momentum"
    }

    fn cpu_fwd(
        &self,
        buffer: &mut CpuStorage,
        bl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
        var: &CpuStorage,
        vl: &Layout,
    ) -> Result<()> {
        let buffer = dense::slice_mut(buffer, bl, self.name())?;
        let (grad, var) = (dense::slice::<f32>(grad, gl, self.name())?, dense::slice::<f32>(var, vl, self.name())?);
        buffer.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).zip(var.par_chunks(BLOCK)).for_each(
            |((buffer, grad), var)| {
                for ((buffer, g), p) in buffer.iter_mut().zip(grad).zip(var) {
                    *buffer = self.momentum * *buffer + (g + self.weight_decay * p);
                }
            },
        );
        Ok(())
    }
}

/// `p -= lr · (g + weight_decay · p + momentum · buf)`
pub(super) struct Nesterov {
    pub lr: f32,
    pub momentum: f32,
    pub weight_decay: f32,
}

impl InplaceOp3 for Nesterov {
    fn name(&self) -> &'static str {
        "sgd-nesterov"
    }

    fn cpu_fwd(
        &self,
        var: &mut CpuStorage,
        vl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
        buffer: &CpuStorage,
        bl: &Layout,
    ) -> Result<()> {
        let var = dense::slice_mut(var, vl, self.name())?;
        let (grad, buffer) =
            (dense::slice::<f32>(grad, gl, self.name())?, dense::slice::<f32>(buffer, bl, self.name())?);
        var.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).zip(buffer.par_chunks(BLOCK)).for_each(
            |((var, grad), buffer)| {
                for ((p, g), buffer) in var.iter_mut().zip(grad).zip(buffer) {
                    *p -= self.lr * (g + self.weight_decay * *p + self.momentum * buffer);
                }
            },
        );
        Ok(())
    }
}
