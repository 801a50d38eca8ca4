//! Tests of ranks that are threads of one process.

use super::*;
use crate::ranks::place::Launcher;

fn place(rank: usize, size: usize) -> Place {
    Place { rank, size, local_rank: rank, local_size: Some(size), launcher: Launcher::Ucftrain, id: "test".into() }
}

/// Runs `work` on ranks that meet. Returns what they return, in their order.
fn on_ranks<T: Send>(size: usize, timeout: f64, work: impl Fn(&dyn Ranks) -> T + Sync) -> Vec<Result<T>> {
    let temp = tempfile::tempdir().unwrap();
    let (run, work) = (temp.path().join("run"), &work);
    thread::scope(|scope| {
        let rank = |rank: usize| {
            let run = &run;
            scope.spawn(move || {
                let place = place(rank, size);
                let timeout = Duration::from_secs_f64(timeout);
                let ranks = meet(&Meeting { place: &place, run, interface: None, timeout })?;
                assert_eq!((ranks.rank(), ranks.size()), (rank, size));
                Ok(work(&*ranks))
            })
        };
        // The last rank comes first.
        let threads: Vec<_> = (0..size).rev().map(rank).collect();
        let mut results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        results.reverse();
        results
    })
}

/// Values whose sum depends on the order of the summands.
fn values(rank: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + rank * 104_729) % 1000) as f32 / 7.0 * 10_f32.powi((i % 9) as i32 - 4)).collect()
}

fn sum(ranks: &dyn Ranks, values: Option<&[f32]>, len: usize) -> Result<Vec<f32>> {
    let mut sum = ranks.start_sum(len);
    ranks.add(&mut sum, values)?;
    ranks.total(sum)
}

#[test]
fn sums_are_added_in_the_order_of_ranks_on_all_of_them() {
    for (size, len) in [(2, 1000), (3, 1001), (3, 2), (5, 4), (2, 0), (4, 100_000)] {
        let mut expected = values(0, len);
        for rank in 1..size {
            expected.iter_mut().zip(values(rank, len)).for_each(|(sum, value)| *sum += value);
        }
        let sums = on_ranks(size, 20.0, |ranks| {
            let sum = sum(ranks, Some(&values(ranks.rank(), len)), len).unwrap();
            let sent = ranks.traffic().sent;
            (sum, sent)
        });
        let mut sent = 0;
        for found in sums {
            let (sum, bytes) = found.unwrap();
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&sum), bits(&expected), "{size} ranks, {len} values");
            sent += bytes;
        }
        // Each value goes to the rank that adds it up, from all others, and its sum to all others.
        let messages = 2 * size * (size - 1);
        assert_eq!(sent, (2 * (size - 1) * len * 4 + messages * 16) as u64);
    }
}

#[test]
fn rounds_of_a_sum_are_added_as_one_process_adds_them() {
    // Vectors 0 to 5 in turn, on three ranks and on one.
    let sums = on_ranks(3, 20.0, |ranks| {
        let mut sum = ranks.start_sum(100);
        for round in 0..2 {
            ranks.add(&mut sum, Some(&values(round * 3 + ranks.rank(), 100))).unwrap();
        }
        ranks.total(sum).unwrap()
    });
    let mut alone = Alone.start_sum(100);
    for at in 0..6 {
        Alone.add(&mut alone, Some(&values(at, 100))).unwrap();
    }
    let expected = Alone.total(alone).unwrap();
    for sum in sums {
        assert_eq!(sum.unwrap(), expected);
    }
}

#[test]
fn ranks_without_values_do_not_change_the_bits_of_a_sum() {
    let sums = on_ranks(3, 20.0, |ranks| {
        let one = sum(ranks, (ranks.rank() == 1).then_some(&[-0.0, 1.5, f32::MIN_POSITIVE, -7.0][..]), 4).unwrap();
        (one, sum(ranks, None, 3).unwrap())
    });
    for sum in sums {
        let (one, none) = sum.unwrap();
        assert_eq!(one.iter().map(|x| x.to_bits()).collect::<Vec<_>>()[0], (-0.0_f32).to_bits());
        assert_eq!((one, none), (vec![-0.0, 1.5, f32::MIN_POSITIVE, -7.0], vec![0.0; 3]));
    }
}

#[test]
fn bytes_of_all_ranks_arrive_in_their_order() {
    let gathered = on_ranks(3, 20.0, |ranks| {
        let own = vec![ranks.rank() as u8; 100_000 * ranks.rank()];
        let first = ranks.gather(own).unwrap();
        (first, ranks.gather(vec![7]).unwrap())
    });
    for found in gathered {
        let expected: Vec<Vec<u8>> = (0..3).map(|rank| vec![rank as u8; 100_000 * rank]).collect();
        assert_eq!(found.unwrap(), (expected, vec![vec![7]; 3]));
    }
}

#[test]
fn the_loss_of_a_rank_is_an_error_that_names_it() {
    let faults = on_ranks(2, 20.0, |ranks| {
        if ranks.is_first() { ranks.gather(vec![1]).unwrap_err().to_string() } else { String::new() }
    });
    assert!(faults[0].as_ref().unwrap().starts_with("rank 1 has ended; to continue"), "{faults:?}");
    // The other rank is there, but sends nothing.
    let faults = on_ranks(2, 3.0, |ranks| {
        if ranks.is_first() {
            return ranks.gather(vec![1]).unwrap_err().to_string();
        }
        thread::sleep(Duration::from_secs(6));
        String::new()
    });
    assert!(faults[0].as_ref().unwrap().starts_with("rank 1 sent or took nothing for 3 s"), "{faults:?}");
    let faults = on_ranks(2, 20.0, |ranks| match ranks.rank() {
        0 => ranks.gather(vec![1]).map(drop),
        _ => sum(ranks, Some(&[1.0]), 1).map(drop),
    });
    let faults: Vec<String> = faults.into_iter().map(|fault| fault.unwrap().unwrap_err().to_string()).collect();
    assert!(faults.iter().any(|fault| fault.contains("is at another point of the run")), "{faults:?}");
}

#[test]
fn a_rank_that_does_not_come_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let run = temp.path().join("run");
    let fault = |rank| {
        let place = place(rank, 3);
        let meeting = Meeting { place: &place, run: &run, interface: None, timeout: Duration::from_secs_f64(0.2) };
        meet(&meeting).unwrap_err().to_string()
    };
    let text = fault(0);
    assert!(text.starts_with("ranks 1, 2 did not come within 0.2 s") && text.contains("3 processes"), "{text}");
    assert!(!temp.path().join(".run.ranks").exists(), "the notice is removed");
    let text = fault(1);
    assert!(text.starts_with("rank 0 did not come within 0.2 s") && text.contains(".run.ranks"), "{text}");
}

#[test]
fn strangers_and_stale_notices_do_not_disturb_a_meeting() {
    let temp = tempfile::tempdir().unwrap();
    let (run, notice) = (temp.path().join("run"), temp.path().join(".run.ranks"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stale = Notice { id: "test".into(), address: closed, token: "old".into() };
    std::fs::write(&notice, serde_json::to_vec(&stale).unwrap()).unwrap();
    let meeting = |rank| {
        let run = run.clone();
        move || {
            let place = place(rank, 2);
            let timeout = Duration::from_secs(20);
            let ranks = meet(&Meeting { place: &place, run: &run, interface: None, timeout }).unwrap();
            ranks.gather(vec![rank as u8]).unwrap()
        }
    };
    let other = thread::spawn(meeting(1));
    thread::sleep(Duration::from_millis(200));
    // Rank 0 waits until the strangers were refused.
    let first = thread::spawn({
        let run = run.clone();
        move || {
            let place = place(0, 3);
            meet(&Meeting { place: &place, run: &run, interface: None, timeout: Duration::from_secs(5) }).map(drop)
        }
    });
    let notice: Notice = loop {
        let read = std::fs::read(&notice).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match read.filter(|notice: &Notice| notice.token != "old") {
            Some(notice) => break notice,
            None => thread::sleep(PAUSE),
        }
    };
    let refused = |token: &str, rank, size| {
        let stream = TcpStream::connect(notice.address).unwrap();
        let address = notice.address;
        introduce(&stream, 0, &Hello { magic: MAGIC.into(), token: token.into(), rank, size, address })
            .unwrap_err()
            .to_string()
    };
    assert!(refused("guess", 1, 3).contains("rank 0 refused this process: its token is not that of this run"));
    assert!(refused(&notice.token, 1, 4).contains("it belongs to 4 ranks, but this run has 3"));
    assert!(refused(&notice.token, 3, 3).contains("there is no rank 3 to wait for"));
    // Rank 1 of two ranks was refused, too: this run has three.
    assert!(other.join().is_err());
    assert!(first.join().unwrap().unwrap_err().to_string().contains("did not come"));
}
