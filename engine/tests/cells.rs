//! Cells on real ranks: what they print, show and raise.

mod harness;

use harness::through_both_doors;

#[test]
fn cells_are_ipython_cells() {
    through_both_doors(2, |mut engines| {
        let ran = engines.run("print('hi', mpi_rank, mpi_size)");
        for (rank, ran) in ran.iter().enumerate() {
            assert_eq!((ran.stdout.as_str(), ran.count), (format!("hi {rank} 2\n").as_str(), 1), "{ran:?}");
        }
    });
}
