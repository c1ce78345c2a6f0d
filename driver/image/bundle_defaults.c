/* SPDX-License-Identifier: Apache-2.0 */
/* docker's default mounts, capabilities, namespaces, device rules and hidden paths, as tables. */
#include "image/bundle_defaults.h"

#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static const struct mount {
	const char *destination, *type, *source, *options;
} mounts[] = {
	{"/proc", "proc", "proc", "nosuid,noexec,nodev"},
	{"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
	{"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
	{"/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev"},
	{"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
	{"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=67108864"},
};

static const char capabilities[] =
	"CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FSETID,CAP_FOWNER,CAP_MKNOD,CAP_NET_RAW,CAP_SETGID,"
	"CAP_SETUID,CAP_SETFCAP,CAP_SETPCAP,CAP_NET_BIND_SERVICE,CAP_SYS_CHROOT,CAP_KILL,"
	"CAP_AUDIT_WRITE";

static const char masked[] =
	"/proc/acpi,/proc/asound,/proc/interrupts,/proc/kcore,/proc/keys,/proc/latency_stats,"
	"/proc/sched_debug,/proc/scsi,/proc/timer_list,/proc/timer_stats,"
	"/sys/devices/virtual/powercap,/sys/firmware";

/* One for each processor; like /proc/interrupts they betray a neighbour by the heat it makes. */
static const char masked_pattern[] = "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle";

static const char read_only[] = "/proc/bus,/proc/fs,/proc/irq,/proc/sys,/proc/sysrq-trigger";

static const char *const namespaces[] = {"mount", "network", "uts", "pid", "ipc", "cgroup"};

/* What the network namespace, which is the container's own, lets any of its users do. */
static const struct sysctl {
	const char *name, *file, *value;
} sysctls[] = {
	{"net.ipv4.ip_unprivileged_port_start", "/proc/sys/net/ipv4/ip_unprivileged_port_start",
	 "0"},
	{"net.ipv4.ping_group_range", "/proc/sys/net/ipv4/ping_group_range", "0 2147483647"},
};

/* After the rule that denies everything: zero, null, urandom, random, tty, console; not fuse. */
static const struct device_rule {
	int allow, major, minor;
} device_rules[] = {
	{1, 1, 5}, {1, 1, 3}, {1, 1, 9}, {1, 1, 8}, {1, 5, 0}, {1, 5, 1}, {0, 10, 229},
};

/* An array of the words that commas part in @text. */
static json_t *words(const char *text)
{
	cleanup_json json_t *array = json_array();

	while (*text) {
		size_t length = strcspn(text, ",");

		if (json_array_append_new(array, json_stringn(text, length)) < 0)
			return NULL;
		text += length + (text[length] == ',');
	}
	return steal_ptr(&array);
}

json_t *bundle_default_mounts(void)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < COUNT(mounts); i++) {
		const struct mount *mount = &mounts[i];
		json_t *json = json_pack("{s:s, s:s, s:s, s:o}", "destination", mount->destination,
					 "type", mount->type, "source", mount->source, "options",
					 words(mount->options));

		if (json_array_append_new(array, json) < 0)
			return NULL;
	}
	return steal_ptr(&array);
}

json_t *bundle_default_capabilities(int is_root)
{
	const char *now = is_root ? capabilities : "";

	return json_pack("{s:o, s:o, s:o, s:o}", "bounding", words(capabilities), "effective",
			 words(now), "permitted", words(now), "inheritable", words(""));
}

static json_t *masked_paths(void)
{
	cleanup_json json_t *array = words(masked);
	glob_t found;
	int failed = 0;

	if (glob(masked_pattern, 0, NULL, &found))
		return steal_ptr(&array);
	for (size_t i = 0; i < found.gl_pathc; i++)
		failed |= json_array_append_new(array, json_string(found.gl_pathv[i]));
	globfree(&found);
	return failed ? NULL : steal_ptr(&array);
}

static json_t *namespace_list(void)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < COUNT(namespaces); i++) {
		if (json_array_append_new(array, json_pack("{s:s}", "type", namespaces[i])) < 0)
			return NULL;
	}
	return steal_ptr(&array);
}

static json_t *device_rule_list(void)
{
	cleanup_json json_t *array = json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm");

	for (size_t i = 0; i < COUNT(device_rules); i++) {
		const struct device_rule *rule = &device_rules[i];
		json_t *json =
			json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", rule->allow, "type", "c",
				  "major", rule->major, "minor", rule->minor, "access", "rwm");

		if (json_array_append_new(array, json) < 0)
			return NULL;
	}
	return steal_ptr(&array);
}

/* runc fails on a sysctl that the kernel lacks. */
static json_t *sysctl_list(void)
{
	cleanup_json json_t *object = json_object();

	for (size_t i = 0; i < COUNT(sysctls); i++) {
		if (access(sysctls[i].file, F_OK))
			continue;
		if (json_object_set_new(object, sysctls[i].name, json_string(sysctls[i].value)) < 0)
			return NULL;
	}
	return steal_ptr(&object);
}

json_t *bundle_default_linux(void)
{
	return json_pack("{s:o, s:o, s:{s:o}, s:o, s:o}", "namespaces", namespace_list(), "sysctl",
			 sysctl_list(), "resources", "devices", device_rule_list(), "maskedPaths",
			 masked_paths(), "readonlyPaths", words(read_only));
}
