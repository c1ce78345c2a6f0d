/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that inject.c knows, and of what kind each is.
 *
 *	change	it changes something that others see: files, mounts, subvolumes, loop devices
 *	space	it may fail with ENOSPC or EDQUOT
 *	input	it may fail with EIO: what changes files, and what reads them
 *	open	it makes a descriptor: EMFILE
 *	memory	it may fail with ENOMEM
 *	wait	it may be interrupted: EINTR
 *	locks	file locks
 *
 * Not there: close(2), after whose failure a descriptor is closed as well; what is written to stderr, which is
 * where the failure is told; unlocking, which does not fail; connect(2), which is not waited for where a socket does not
 * block, as libcurl's.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CALLS_MAX 128

enum {
	KIND_CHANGE = 1 << 0,
	KIND_SPACE = 1 << 1,
	KIND_INPUT = 1 << 2,
	KIND_OPEN = 1 << 3,
	KIND_MEMORY = 1 << 4,
	KIND_WAIT = 1 << 5,
	KIND_LOCKS = 1 << 6,
};

#define KINDS_MAX 7

static const char *const kind_names[KINDS_MAX] = {"change", "space", "input", "open",
						  "memory", "wait",  "locks"};

#define FILES (KIND_CHANGE | KIND_SPACE | KIND_INPUT | KIND_MEMORY)
#define DATA (KIND_CHANGE | KIND_SPACE | KIND_INPUT | KIND_WAIT)
#define SYNC (KIND_CHANGE | KIND_SPACE | KIND_INPUT)
#define READ (KIND_INPUT | KIND_WAIT)
#define LOOK (KIND_INPUT | KIND_MEMORY)
#define MOUNT (KIND_CHANGE | KIND_MEMORY)
#define PROCESS KIND_MEMORY

struct call {
	long number;
	const char *name;
	unsigned kinds;
	int path; /* which argument names something: 1, 2, 3; 0: the first is a descriptor; -1: none */
};

static const struct call calls[] = {
	{SYS_open, "open", KIND_OPEN | KIND_MEMORY | KIND_WAIT, 1},
	{SYS_creat, "creat", FILES | KIND_OPEN | KIND_WAIT, 1},
	{SYS_openat, "openat", KIND_OPEN | KIND_MEMORY | KIND_WAIT, 2},
	{SYS_openat2, "openat2", KIND_OPEN | KIND_MEMORY | KIND_WAIT, 2},
	{SYS_write, "write", DATA, 0},
	{SYS_pwrite64, "pwrite64", DATA, 0},
	{SYS_writev, "writev", DATA, 0},
	{SYS_pwritev, "pwritev", DATA, 0},
	{SYS_pwritev2, "pwritev2", DATA, 0},
	{SYS_copy_file_range, "copy_file_range", DATA, 0},
	{SYS_sendfile, "sendfile", DATA, 0},
	{SYS_splice, "splice", DATA, 0},
	{SYS_fallocate, "fallocate", DATA, 0},
	{SYS_ftruncate, "ftruncate", DATA, 0},
	{SYS_truncate, "truncate", DATA, 1},
	{SYS_fsync, "fsync", SYNC, 0},
	{SYS_fdatasync, "fdatasync", SYNC, 0},
	{SYS_syncfs, "syncfs", SYNC, 0},
	{SYS_sync_file_range, "sync_file_range", SYNC, 0},
	{SYS_msync, "msync", SYNC, -1},
	{SYS_read, "read", READ, 0},
	{SYS_pread64, "pread64", READ, 0},
	{SYS_readv, "readv", READ, 0},
	{SYS_preadv, "preadv", READ, 0},
	{SYS_getdents64, "getdents64", KIND_INPUT, 0},
	{SYS_getxattr, "getxattr", KIND_INPUT, 1},
	{SYS_lgetxattr, "lgetxattr", KIND_INPUT, 1},
	{SYS_fgetxattr, "fgetxattr", KIND_INPUT, 0},
	{SYS_listxattr, "listxattr", KIND_INPUT, 1},
	{SYS_llistxattr, "llistxattr", KIND_INPUT, 1},
	{SYS_flistxattr, "flistxattr", KIND_INPUT, 0},
	{SYS_readlinkat, "readlinkat", KIND_INPUT, 2},
	{SYS_stat, "stat", LOOK, 1},
	{SYS_lstat, "lstat", LOOK, 1},
	{SYS_newfstatat, "newfstatat", LOOK, 2},
	{SYS_statx, "statx", LOOK, 2},
	{SYS_access, "access", LOOK, 1},
	{SYS_faccessat, "faccessat", LOOK, 2},
	{SYS_faccessat2, "faccessat2", LOOK, 2},
	{SYS_getrandom, "getrandom", KIND_WAIT, -1},
	{SYS_rename, "rename", FILES, 1},
	{SYS_renameat, "renameat", FILES, 2},
	{SYS_renameat2, "renameat2", FILES, 2},
	{SYS_link, "link", FILES, 2},
	{SYS_linkat, "linkat", FILES, 2},
	{SYS_symlink, "symlink", FILES, 2},
	{SYS_symlinkat, "symlinkat", FILES, 3},
	{SYS_unlink, "unlink", FILES, 1},
	{SYS_unlinkat, "unlinkat", FILES, 2},
	{SYS_rmdir, "rmdir", FILES, 1},
	{SYS_mkdir, "mkdir", FILES, 1},
	{SYS_mkdirat, "mkdirat", FILES, 2},
	{SYS_mknod, "mknod", FILES, 1},
	{SYS_mknodat, "mknodat", FILES, 2},
	{SYS_chmod, "chmod", FILES, 1},
	{SYS_fchmod, "fchmod", FILES, 0},
	{SYS_fchmodat, "fchmodat", FILES, 2},
	{SYS_chown, "chown", FILES, 1},
	{SYS_lchown, "lchown", FILES, 1},
	{SYS_fchown, "fchown", FILES, 0},
	{SYS_fchownat, "fchownat", FILES, 2},
	{SYS_utimensat, "utimensat", FILES, 2},
	{SYS_setxattr, "setxattr", FILES, 1},
	{SYS_lsetxattr, "lsetxattr", FILES, 1},
	{SYS_fsetxattr, "fsetxattr", FILES, 0},
	{SYS_removexattr, "removexattr", FILES, 1},
	{SYS_lremovexattr, "lremovexattr", FILES, 1},
	{SYS_fremovexattr, "fremovexattr", FILES, 0},
	{SYS_mount, "mount", MOUNT, 2},
	{SYS_umount2, "umount2", MOUNT, 1},
	{SYS_fsopen, "fsopen", MOUNT | KIND_OPEN, 1},
	{SYS_fsconfig, "fsconfig", MOUNT | KIND_SPACE | KIND_INPUT, 0},
	{SYS_fsmount, "fsmount", MOUNT | KIND_OPEN, 0},
	{SYS_move_mount, "move_mount", MOUNT | KIND_SPACE, 0},
	{SYS_open_tree, "open_tree", MOUNT | KIND_OPEN, 2},
	{SYS_mount_setattr, "mount_setattr", MOUNT, 2},
	{SYS_unshare, "unshare", MOUNT, -1},
	{SYS_setns, "setns", MOUNT, 0},
	{SYS_ioctl, "ioctl", FILES, 0},
	{SYS_fcntl, "fcntl", 0, 0},
	{SYS_flock, "flock", KIND_LOCKS | KIND_MEMORY | KIND_WAIT, 0},
	{SYS_mmap, "mmap", PROCESS, -1},
	{SYS_mremap, "mremap", PROCESS, -1},
	{SYS_mprotect, "mprotect", PROCESS, -1},
	{SYS_brk, "brk", PROCESS, -1},
	{SYS_clone, "clone", PROCESS, -1},
	{SYS_clone3, "clone3", PROCESS, -1},
	{SYS_fork, "fork", PROCESS, -1},
	{SYS_vfork, "vfork", PROCESS, -1},
	{SYS_wait4, "wait4", KIND_WAIT, -1},
	{SYS_waitid, "waitid", KIND_WAIT, -1},
	{SYS_pipe2, "pipe2", KIND_OPEN, -1},
	{SYS_dup, "dup", KIND_OPEN, 0},
	{SYS_dup3, "dup3", KIND_OPEN, 0},
	{SYS_socket, "socket", KIND_OPEN | KIND_MEMORY, -1},
	{SYS_socketpair, "socketpair", KIND_OPEN | KIND_MEMORY, -1},
	{SYS_poll, "poll", KIND_WAIT, -1},
	{SYS_eventfd2, "eventfd2", KIND_OPEN | KIND_MEMORY, -1},
	{SYS_epoll_create1, "epoll_create1", KIND_OPEN | KIND_MEMORY, -1},
	{SYS_memfd_create, "memfd_create", KIND_OPEN | KIND_MEMORY, 1},
	{0, NULL, 0, 0},
};

_Static_assert(sizeof(calls) / sizeof(calls[0]) <= CALLS_MAX, "the filter has room for them");

struct call_arguments {
	unsigned long values[6];
	struct open_how pointed; /* of openat2(2) */
	short lock_type;	 /* of fcntl(2) */
};

static inline const struct call *call_find(long number)
{
	for (const struct call *call = calls; call->name; call++) {
		if (call->number == number)
			return call;
	}
	return NULL;
}

static inline unsigned call_kind(const char *name)
{
	for (unsigned i = 0; i < KINDS_MAX; i++) {
		if (!strcmp(name, kind_names[i]))
			return 1u << i;
	}
	return 0;
}

static inline int call_is_lock(const struct call_arguments *arguments)
{
	int command = (int)arguments->values[1];

	return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
	       command == F_OFD_SETLKW;
}

static inline unsigned open_kinds(unsigned long flags)
{
	if (flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE)
		return FILES;
	return (flags & O_ACCMODE) != O_RDONLY ? KIND_CHANGE | KIND_INPUT : KIND_INPUT;
}

/* Of btrfs (clones of files have its letter), of loop devices, and flags of files. */
static inline unsigned ioctl_kinds(unsigned long request)
{
	unsigned letter = request >> 8 & 0xff, number = request & 0xff;

	if (letter == 0x94) {
		static const unsigned char reading[] = {17, 18, 20, 25, 29, 30, 31, 60, 61, 62};

		return memchr(reading, (int)number, sizeof(reading)) ? KIND_INPUT | KIND_MEMORY
								     : FILES;
	}
	if (letter == 'L')
		return number == 3 || number == 5 ? 0 : FILES;
	return request == FS_IOC_SETFLAGS || request == FS_IOC_FSSETXATTR ? FILES : 0;
}

static inline unsigned fcntl_kinds(const struct call_arguments *arguments)
{
	int command = (int)arguments->values[1];

	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return KIND_OPEN;
	if (!call_is_lock(arguments))
		return 0;
	if (arguments->lock_type == F_UNLCK)
		return 0;
	return KIND_LOCKS | (command == F_SETLKW || command == F_OFD_SETLKW ? KIND_WAIT : 0);
}

/* Of this call, with these arguments. */
static inline unsigned call_kinds(const struct call *call, const struct call_arguments *arguments)
{
	switch (call->number) {
	case SYS_open:
		return call->kinds | open_kinds(arguments->values[1]);
	case SYS_openat:
		return call->kinds | open_kinds(arguments->values[2]);
	case SYS_openat2:
		return call->kinds | open_kinds(arguments->pointed.flags);
	case SYS_ioctl:
		return ioctl_kinds(arguments->values[1]);
	case SYS_fcntl:
		return fcntl_kinds(arguments);
	case SYS_write:
	case SYS_writev:
		return arguments->values[0] == 2 ? 0 : call->kinds;
	default:
		return call->kinds;
	}
}
