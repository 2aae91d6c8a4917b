/* What Rust cannot say: a function that returns twice. See escape.rs. */
#include <setjmp.h>

static sigjmp_buf way_out;

/* 0 when `call` has returned, 1 when it was left by parallel_python_leave. Signal masks stay as they are. */
int parallel_python_enter(void (*call)(void *), void *what)
{
    if (sigsetjmp(way_out, 0))
        return 1;
    call(what);
    return 0;
}

/* On the thread that is within parallel_python_enter, above no frame that has anything to clean up. */
_Noreturn void parallel_python_leave(void)
{
    siglongjmp(way_out, 1);
}
