/* Preloaded into a test program, where getppid forks. So a program without unsafe code can fork: the
 * child gets 0, the parent gets the id of the child. */
#include <unistd.h>

pid_t getppid(void) { return fork(); }
