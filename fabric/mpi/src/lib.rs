//! The only code that calls MPI.
