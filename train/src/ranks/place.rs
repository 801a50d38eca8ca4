//! The place of a process among the ranks, from the environment variables of launchers.

use crate::base::usage::Usage;
use anyhow::{Result, bail};
use std::fmt;

/// A program that starts the processes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// `ucftrain launch`.
    Ucftrain,
    /// `scripts/train_ray.py`.
    Ray,
    /// PyTorch's torchrun, and other programs with its variables.
    Torchrun,
    /// mpirun of Open MPI.
    OpenMpi,
    /// mpirun of MPICH.
    Mpich,
    /// srun of SLURM.
    Slurm,
}

impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ucftrain => "ucftrain launch",
            Self::Ray => "Ray",
            Self::Torchrun => "torchrun",
            Self::OpenMpi => "OpenMPI",
            Self::Mpich => "MPICH",
            Self::Slurm => "SLURM",
        })
    }
}

/// Variable that `ucftrain launch` sets, with a name that only its processes have.
pub const LAUNCH: &str = "UCFTRAIN_LAUNCH";
/// Variable that `scripts/train_ray.py` sets.
const RAY: &str = "UCFTRAIN_RAY";

/// The variables of a launcher.
struct Variables {
    launcher: Launcher,
    /// Those that only this launcher sets.
    marks: &'static [&'static str],
    rank: &'static str,
    size: &'static str,
    local_rank: &'static str,
    /// Number of ranks on this machine, or number of machines.
    local_size: Local,
    /// Those that tell one start of the launcher from others.
    id: &'static [&'static str],
}

enum Local {
    Ranks(&'static str),
    Machines(&'static str),
}

/// The first launcher whose marks are set counts. A step of SLURM may run mpirun, which has the ranks then.
const LAUNCHERS: [Variables; 6] = [
    Variables {
        launcher: Launcher::Ucftrain,
        marks: &[LAUNCH],
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: "LOCAL_RANK",
        local_size: Local::Ranks("LOCAL_WORLD_SIZE"),
        id: &[LAUNCH],
    },
    Variables {
        launcher: Launcher::Ray,
        marks: &[RAY],
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: "LOCAL_RANK",
        local_size: Local::Ranks("LOCAL_WORLD_SIZE"),
        id: &[RAY],
    },
    Variables {
        launcher: Launcher::Torchrun,
        marks: &["RANK", "WORLD_SIZE"],
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: "LOCAL_RANK",
        local_size: Local::Ranks("LOCAL_WORLD_SIZE"),
        id: &["TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT"],
    },
    Variables {
        launcher: Launcher::OpenMpi,
        marks: &["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
        local_size: Local::Ranks("OMPI_COMM_WORLD_LOCAL_SIZE"),
        id: &["PMIX_NAMESPACE"],
    },
    Variables {
        launcher: Launcher::Mpich,
        marks: &["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"],
        rank: "PMI_RANK",
        size: "PMI_SIZE",
        local_rank: "MPI_LOCALRANKID",
        local_size: Local::Ranks("MPI_LOCALNRANKS"),
        id: &[],
    },
    Variables {
        launcher: Launcher::Slurm,
        // A script of sbatch has SLURM_PROCID, but is not a task of a step.
        marks: &["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"],
        rank: "SLURM_PROCID",
        size: "SLURM_STEP_NUM_TASKS",
        local_rank: "SLURM_LOCALID",
        local_size: Local::Machines("SLURM_STEP_NUM_NODES"),
        id: &["SLURM_JOB_ID", "SLURM_STEP_ID"],
    },
];

/// The place of a process among the ranks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the rank, from 0.
    pub rank: usize,
    /// Number of ranks.
    pub size: usize,
    /// Number of the rank on its machine, from 0.
    pub local_rank: usize,
    /// Number of ranks on this machine, if it is known.
    pub local_size: Option<usize>,
    /// The program that started the ranks.
    pub launcher: Launcher,
    /// Text that tells one start of the launcher from others; empty if the launcher has none.
    pub id: String,
}

impl Place {
    /// Returns the place that the environment gives this process, or none without a launcher. `variable`
    /// returns the value of an environment variable.
    ///
    /// # Errors
    /// A variable is missing or is not a number that fits the others.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
        let Some(known) = LAUNCHERS.iter().find(|launcher| launcher.marks.iter().all(is_set)) else {
            return Ok(None);
        };
        let launcher = known.launcher;
        let number = |name: &str| -> Result<Option<usize>> {
            let Some(text) = variable(name).filter(|value| !value.is_empty()) else { return Ok(None) };
            let Ok(number) = text.parse() else {
                bail!(Usage(format!(
                    "the environment variable {name} of {launcher} is {text:?}, which is not a number; start the ranks \
                     with a launcher, or add --ranks none"
                )));
            };
            Ok(Some(number))
        };
        let rank = number(known.rank)?.unwrap_or(0);
        let size = number(known.size)?.unwrap_or(1);
        if rank >= size {
            bail!(Usage(format!(
                "the environment variables of {launcher} name rank {rank} of {size}: {} must be below {}; start the \
                 ranks with a launcher, or add --ranks none",
                known.rank, known.size
            )));
        }
        let local_size = match known.local_size {
            Local::Ranks(name) => number(name)?,
            Local::Machines(name) => number(name)?.filter(|&machines| machines == 1).map(|_| size),
        };
        let id: Vec<String> = known.id.iter().filter_map(|name| variable(name)).collect();
        let local_rank = number(known.local_rank)?.unwrap_or(0);
        Ok(Some(Self { rank, size, local_rank, local_size, launcher, id: id.join(" ") }))
    }

    /// Returns whether the launcher says that all ranks are on this machine.
    pub fn is_local(&self) -> bool {
        self.local_size == Some(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        Place::of(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
    }

    fn place(variables: &[(&str, &str)]) -> (String, usize, usize, usize, bool) {
        let place = of(variables).unwrap().unwrap();
        (place.launcher.to_string(), place.rank, place.size, place.local_rank, place.is_local())
    }

    #[test]
    fn each_launcher_is_known_by_its_variables() {
        assert_eq!(of(&[("PATH", "/bin"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).unwrap(), None);
        let torchrun = [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")];
        assert_eq!(place(&torchrun), ("torchrun".into(), 3, 4, 1, false));
        let ray = [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2"), (RAY, "x")];
        assert_eq!(place(&ray), ("Ray".into(), 3, 4, 1, false));
        let launch =
            [("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2"), (LAUNCH, "x")];
        assert_eq!(place(&launch), ("ucftrain launch".into(), 1, 2, 1, true));
        let open_mpi = [
            ("OMPI_COMM_WORLD_RANK", "2"),
            ("OMPI_COMM_WORLD_SIZE", "3"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "2"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "3"),
            ("SLURM_PROCID", "0"),
            ("SLURM_STEP_NUM_TASKS", "1"),
        ];
        assert_eq!(place(&open_mpi), ("OpenMPI".into(), 2, 3, 2, true));
        let mpich = [("PMI_RANK", "1"), ("PMI_SIZE", "2"), ("MPI_LOCALRANKID", "0"), ("MPI_LOCALNRANKS", "1")];
        assert_eq!(place(&mpich), ("MPICH".into(), 1, 2, 0, false));
        let slurm = [
            ("SLURM_PROCID", "5"),
            ("SLURM_STEP_NUM_TASKS", "8"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_STEP_NUM_NODES", "2"),
            ("SLURM_JOB_ID", "7"),
            ("SLURM_STEP_ID", "0"),
            ("PMI_RANK", "5"),
            ("PMI_SIZE", "8"),
        ];
        assert_eq!(place(&slurm), ("SLURM".into(), 5, 8, 1, false));
        assert_eq!(of(&slurm).unwrap().unwrap().id, "7 0");
    }

    #[test]
    fn wrong_variables_are_named() {
        let fault = |variables: &[(&str, &str)]| of(variables).unwrap_err().to_string();
        let text = fault(&[("RANK", "one"), ("WORLD_SIZE", "2")]);
        assert!(text.contains("RANK of torchrun is \"one\"") && text.ends_with("add --ranks none"), "{text}");
        let text = fault(&[("RANK", "2"), ("WORLD_SIZE", "2")]);
        assert!(text.contains("rank 2 of 2: RANK must be below WORLD_SIZE"), "{text}");
    }
}
