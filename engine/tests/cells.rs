//! Cells on real ranks: what they print, show and raise.

mod harness;

use harness::{Engines, Ran, through_both_doors};

/// Runs a cell everywhere and returns what rank 0 did, after a check that nothing failed.
fn run(engines: &mut Engines, code: &str) -> Ran {
    let mut ran = engines.run(code);
    for (rank, ran) in ran.iter().enumerate() {
        assert!(ran.raised.is_none(), "rank {rank}, {code}: {:?}", ran.raised);
    }
    ran.swap_remove(0)
}

/// Runs a cell that must fail and returns its exception's name and value.
fn fail(engines: &mut Engines, code: &str) -> (String, String) {
    let raised = engines.run(code).swap_remove(0).raised.expect("the cell did not fail");
    assert!(!raised.traceback.is_empty(), "{code}: no traceback");
    (raised.ename, raised.evalue)
}

fn stdout(engines: &mut Engines, code: &str) -> String {
    run(engines, code).stdout
}

#[test]
fn cells_are_ipython_cells() {
    through_both_doors(2, |mut engines| {
        let ran = engines.run("print('hi', mpi_rank, mpi_size)");
        for (rank, ran) in ran.iter().enumerate() {
            assert_eq!((ran.stdout.as_str(), ran.count), (format!("hi {rank} 2\n").as_str(), 1), "{ran:?}");
        }
        let engines = &mut engines;
        let ran = run(engines, "6 * 7");
        assert_eq!((ran.shown[0].0.as_str(), ran.count), ("result", 2));
        assert_eq!(ran.shown[0].1["data"]["text/plain"], "42");
        assert_eq!(stdout(engines, "print(_, Out[2], In[2])"), "42 42 6 * 7\n");
        assert_eq!(stdout(engines, "import asyncio\nprint(await asyncio.sleep(0, 'awaited'))"), "awaited\n");
        assert_eq!(stdout(engines, "%%bash\necho from bash"), "from bash\n");
        assert_eq!(stdout(engines, "!echo from {mpi_size} shells"), "from 2 shells\n");
        assert_eq!(stdout(engines, "x = !echo kept\nprint(x)"), "['kept']\n");
        assert_eq!(stdout(engines, "!exit 3\nprint(_exit_code)"), "3\n");
        assert!(stdout(engines, "%%time\npass").contains("Wall time"));
        assert!(stdout(engines, "%timeit -n1 -r1 pass").contains("loop"));
        assert!(stdout(engines, "%history").contains("6 * 7"));
        let page = run(engines, "len?");
        assert_eq!((page.shown[0].0.as_str(), page.shown[0].1["source"].as_str()), ("payload", Some("page")));
        assert!(stdout(engines, "%pip --version").contains("pip "));
        assert_eq!(
            stdout(engines, "print(__name__, __import__('sys').argv, __import__('sys').path[0] == '')"),
            "__main__ [''] True\n"
        );
    });
}

#[test]
fn displays_come_in_order_and_in_jupyters_form() {
    let mut engines = Engines::start(1);
    let engines = &mut engines;
    let ran = run(
        engines,
        "h = display('a', display_id='d')\nh.update('b')\nfrom IPython.display import clear_output, Image\nclear_output(wait=True)\ndisplay({'image/png': b'\\x89PNG'}, raw=True)",
    );
    let kinds: Vec<&str> = ran.shown.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["display_data", "update_display_data", "clear_output", "display_data"]);
    assert_eq!(ran.shown[0].1["transient"]["display_id"], "d");
    assert_eq!(ran.shown[1].1["data"]["text/plain"], "'b'");
    assert_eq!(ran.shown[2].1, serde_json::json!({"wait": true}));
    assert_eq!(ran.shown[3].1["data"]["image/png"], "iVBORw==");
    let figure = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);";
    let ran = run(engines, figure);
    let (kind, figure) = ran.shown.last().unwrap();
    assert_eq!(kind, "display_data");
    assert!(figure["data"]["image/png"].as_str().unwrap().starts_with("iVBOR"), "{figure}");
}

#[test]
fn exceptions_are_values() {
    let mut engines = Engines::start(1);
    let engines = &mut engines;
    assert_eq!(fail(engines, "1/0"), ("ZeroDivisionError".into(), "division by zero".into()));
    let raised = engines.run("def f():\n    raise KeyError('k')\nf()").swap_remove(0).raised.unwrap();
    let text = raised.traceback.join("\n");
    assert!(text.contains("\u{1b}[") && text.contains("Cell") && !text.contains("parallel_python"), "{text}");
    assert_eq!(fail(engines, "x =").0, "SyntaxError");
    assert_eq!(fail(engines, "%nosuchmagic").0, "UsageError");
    assert_eq!(fail(engines, "import sys; sys.exit(3)"), ("SystemExit".into(), "3".into()));
    assert_eq!(fail(engines, "exit").0, "UsageError");
    assert_eq!(fail(engines, "input()").0, "StdinNotImplementedError");
    assert_eq!(fail(engines, "raise ExceptionGroup('g', [ValueError('v')])").0, "ExceptionGroup");
    // IPython itself trips over such an exception; what counts is that there is one, and the next cell runs.
    fail(engines, "class E(Exception):\n    def __str__(self): 1/0\nraise E");
    assert_eq!(fail(engines, "raise BaseException('b')"), ("BaseException".into(), "b".into()));
    assert_eq!(stdout(engines, "print('alive')"), "alive\n");
}

#[test]
fn everything_that_is_printed_comes_in_order() {
    through_both_doors(2, |mut engines| {
        let engines = &mut engines;
        let code = "import os, ctypes, subprocess, sys\nlibc = ctypes.CDLL(None)\n\
                    print('one'); libc.printf(b'two\\n'); print('three'); os.system('echo four'); print('five')\n\
                    subprocess.run(['echo', 'six']); os.write(1, b'seven\\n'); libc.puts(b'eight')\n\
                    sys.stdout.buffer.write('nine ä\\n'.encode()); display(); print('ten')";
        let expected = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine ä\nten\n";
        assert_eq!(stdout(engines, code), expected);
        let ran =
            run(engines, "import sys; print('e', file=sys.stderr); os.system('echo s >&2'); print('o')");
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("o\n", "e\ns\n"));
        let ran = run(engines, "os.write(1, b'\\xc3'); os.write(1, b'\\xa4\\xff\\n'); print('\\ud800')");
        assert_eq!(ran.stdout, "ä\u{fffd}\n\\ud800\n");
        let code =
            "for i in range(20000): print(i)\nos.system('seq 20000')\nos.system('yes | head -c 3000000')";
        let lines: String = (0..20000).map(|i| format!("{i}\n")).collect();
        let more: String = (1..=20000).map(|i| format!("{i}\n")).collect();
        let ran = run(engines, code);
        assert!(ran.stdout == lines + &more + &"y\n".repeat(1_500_000), "{} bytes", ran.stdout.len());
    });
}

#[test]
fn text_is_seen_during_a_long_call_that_keeps_the_gil() {
    let mut engines = Engines::start(1);
    let task =
        engines.send("import ctypes\nprint('before')\nctypes.PyDLL(None).usleep(900_000)\nprint('after')");
    let begun = std::time::Instant::now();
    let (_, report) = engines.report(begun + harness::DEADLINE);
    let seen = begun.elapsed();
    assert!(format!("{report:?}").contains("before"), "{report:?}");
    engines.collect(task);
    assert!(begun.elapsed() - seen > std::time::Duration::from_millis(500), "seen only after {seen:?}");
}

#[test]
fn processes_of_every_kind_work() {
    through_both_doors(2, |mut engines| {
        let engines = &mut engines;
        let code = "import subprocess, sys, os\n\
                    print(subprocess.run([sys.executable, '-c', 'import IPython; print(1)'], capture_output=True, text=True).stdout)";
        assert_eq!(stdout(engines, code), "1\n\n");
        let code = "import multiprocessing as mp, operator\n\
                    for method in 'fork', 'spawn', 'forkserver':\n    \
                        with mp.get_context(method).Pool(2) as pool: print(method, pool.map(operator.neg, [1, 2]))";
        assert_eq!(stdout(engines, code), "fork [-1, -2]\nspawn [-1, -2]\nforkserver [-1, -2]\n");
        let code = "pid = os.fork()\nif pid == 0:\n    print('child'); os._exit(0)\n\
                    os.waitpid(pid, 0); print('parent')";
        assert_eq!(stdout(engines, code), "child\nparent\n");
        // A child that comes to the end of the cell is no second engine.
        assert_eq!(
            stdout(engines, "pid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('both')"),
            "both\nboth\n"
        );
        assert_eq!(stdout(engines, "print('alive')"), "alive\n");
    });
}

#[test]
fn the_environment_is_the_users() {
    let mut engines = Engines::start(1);
    let engines = &mut engines;
    let code = "import os\nprint(sorted(n for n in os.environ if n.startswith(('PMI', 'HYD', 'OMPI', 'MPI'))))\n\
                print(os.environ['PARALLEL_PYTHON_RESTORED'], os.environ['OMP_NUM_THREADS'], os.getcwd())";
    assert_eq!(stdout(engines, code), "[]\nyes 1 /tmp\n");
    assert_eq!(stdout(engines, "!ls /proc/self/fd | wc -l"), "4\n", "descriptors 0, 1, 2 and that of ls");
    let code = "print(__import__('sys').executable)";
    assert_eq!(stdout(engines, code), format!("{}\n", harness::python().display()));
}

#[test]
fn mpi4py_binds_to_the_engines_mpi() {
    through_both_doors(3, |mut engines| {
        let engines = &mut engines;
        let code = "print(MPI.COMM_WORLD.size, MPI.COMM_WORLD.rank == mpi_rank, type(MPI).__name__)\n\
                    print(MPI.COMM_WORLD.allreduce(mpi_rank), MPI.COMM_WORLD.bcast({'a': [1]} if mpi_rank == 0 else None))";
        let ran = engines.run(code);
        for ran in ran {
            assert_eq!(ran.stdout, "3 True module\n3 {'a': [1]}\n", "{ran:?}");
        }
        let code = "import numpy as np\nif mpi_rank == 0:\n    r = MPI.COMM_WORLD.Isend(np.ones(6_000_000), 1)\n\
                    elif mpi_rank == 1:\n    a = np.empty(6_000_000); MPI.COMM_WORLD.Recv(a, 0); print(a.sum())";
        assert_eq!(engines.run(code)[1].stdout, "6000000.0\n");
    });
}
