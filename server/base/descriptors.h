/* descriptors: how many files and sockets the process may have open. */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

/*
 * Makes room for n of them: raises the soft limit as far as the hard one allows,
 * and lets the kernel's table grow to that size. Returns for how many there is
 * room now. Before the first thread: a table that grows later, while threads
 * share it, keeps whoever accepts the 257th, 513th ... connection waiting for 10
 * to 25 ms (Linux, expand_fdtable() in fs/file.c: it waits until no processor
 * can still be reading the old one).
 */
int descriptors_room(int n);

#endif
