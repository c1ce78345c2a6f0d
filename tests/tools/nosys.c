/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program as on an old kernel, or under an old runtime's seccomp filter: openat2, fsopen, mount_setattr, statx
 * and copy_file_range answer ENOSYS to it and to all that it starts.
 *
 * It stands in a directory of its own under the name of a program of the directory above, and runs that one:
 * build/nosys/snapdrv is build/snapdrv. `make check-nosys` runs the tests so.
 */
#include <errno.h>
#include <libgen.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the audit number of this architecture is missing here"
#endif

static const unsigned missing[] = {SYS_openat2, SYS_fsopen, SYS_mount_setattr, SYS_statx,
				   SYS_copy_file_range};
#define COUNT (sizeof(missing) / sizeof(missing[0]))

/* As root, no_new_privs is not needed, and would take setuid programs from what the tests start. */
static int filter(void)
{
	struct sock_filter code[COUNT + 6] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = {.len = COUNT + 6, .filter = code};

	for (unsigned i = 0; i < COUNT; i++)
		code[4 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, missing[i],
							   (unsigned char)(COUNT - i), 0);
	code[4 + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[5 + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(int argc, char **argv)
{
	char self[4096], name[4096], program[2 * 4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)argc;
	if (length < 0) {
		perror("nosys: find this program");
		return 126;
	}
	self[length] = '\0';
	strcpy(name, self);
	snprintf(program, sizeof(program), "%s/../%s", dirname(self), basename(name));
	if (filter()) {
		perror("nosys: set the filter");
		return 126;
	}
	execv(program, argv);
	perror(program);
	return 127;
}
