/* Preloaded into a test program: there, to ask for the parent's id is to fork. So a program without
 * unsafe code can: the child gets 0, the parent the id of the child. */
#include <unistd.h>

pid_t getppid(void) { return fork(); }
