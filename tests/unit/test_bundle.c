/* SPDX-License-Identifier: Apache-2.0 */
/* image/bundle: the runtime config of an image config, docker's defaults in it, and hostile configs. */
#include "image/bundle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "unit.h"

#define ROOTFS_FD 77 /* only handed on */

static const char *passwd_text; /* NULL: there is none */
static int passwd_fails;

static int read_file(int rootfs_fd, const char *path, size_t max, char **ret_data, size_t *ret_size,
		     struct snapdrv_error *err)
{
	const char *text =
		!strcmp(path, "/etc/passwd") ? passwd_text : "app:x:5:\nvideo:x:44:app\n";

	CHECK(rootfs_fd == ROOTFS_FD && max == 1 << 20);
	if (passwd_fails)
		return refuse(err, "not a regular file");
	if (!text)
		return 0;
	*ret_data = strdup(text);
	*ret_size = strlen(text);
	return 1;
}

static struct bundle_spec a_spec(void)
{
	passwd_text = "root:x:0:0::/root:\napp:x:1000:5::/home/app:\n";
	passwd_fails = 0;
	return (struct bundle_spec){
		.name = "web",
		.rootfs = "/var/lib/snapdrv/containers/web/rootfs",
		.rootfs_fd = ROOTFS_FD,
		.read_file = read_file,
	};
}

static json_t *make(struct bundle_spec *spec, const char *document, struct snapdrv_error *err)
{
	cleanup_json json_t *config = json_loads(document, 0, NULL);
	json_t *bundle = NULL;
	int ret;

	CHECK(config != NULL);
	spec->config = config;
	ret = bundle_make(spec, &bundle, err);
	CHECK(ret == 0 ? bundle != NULL : bundle == NULL);
	return bundle;
}

/* The value at a path of keys that slashes part. Borrowed. */
static json_t *at(json_t *json, const char *path)
{
	char key[100];

	while (*path) {
		size_t length = strcspn(path, "/");

		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		json = json_object_get(json, key);
		path += length + (path[length] == '/');
	}
	return json;
}

static void expect_at(json_t *bundle, const char *path, const char *wanted, int line)
{
	cleanup_free char *got = json_dumps(at(bundle, path), JSON_COMPACT | JSON_ENCODE_ANY);

	unit_check_text(got, wanted, path, line);
}

#define EXPECT(path, wanted) expect_at(bundle, path, wanted, __LINE__)

static void expect_process(const char *config, const char *path, const char *wanted, int line)
{
	struct bundle_spec spec = a_spec();
	struct snapdrv_error err = {0};
	char document[1000];
	cleanup_json json_t *bundle = NULL;

	snprintf(document, sizeof(document), "{\"config\":{%s}}", config);
	bundle = make(&spec, document, &err);
	if (bundle)
		expect_at(at(bundle, "process"), path, wanted, line);
	else
		unit_check_text(err.message, wanted, __FILE__, line);
}

#define EXPECT_PROCESS(config, path, wanted) expect_process(config, path, wanted, __LINE__)

static void has_the_frame(void)
{
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle = make(&spec, "{\"config\":{\"Cmd\":[\"sh\"]}}", NULL);

	EXPECT("ociVersion", "\"1.0.2\"");
	EXPECT("root/path", "\"/var/lib/snapdrv/containers/web/rootfs\"");
	EXPECT("root/readonly", "false");
	EXPECT("hostname", "\"web\"");
	EXPECT("process/terminal", "false");
	EXPECT("process/cwd", "\"/\"");
	EXPECT("process/args", "[\"sh\"]");
	EXPECT("process/noNewPrivileges", "false");
	EXPECT("process/oomScoreAdj", "0");
	EXPECT("annotations", "{}");
	CHECK(!at(bundle, "process/consoleSize") && !at(bundle, "process/rlimits"));
}

static void follows_the_flags(void)
{
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle = NULL;
	char name[200];

	memset(name, 'n', 128);
	name[128] = '\0';
	spec.name = name;
	spec.terminal = 1;
	spec.read_only = 1;
	bundle = make(&spec, "{\"config\":{\"Cmd\":[\"sh\"]}}", NULL);
	EXPECT("process/terminal", "true");
	EXPECT("root/readonly", "true");
	CHECK(json_string_length(at(bundle, "hostname")) == 63);
}

static void makes_args(void)
{
	EXPECT_PROCESS("\"Cmd\":[\"a\",\"b c\"]", "args", "[\"a\",\"b c\"]");
	EXPECT_PROCESS("\"Entrypoint\":[\"e\"],\"Cmd\":[\"a\"]", "args", "[\"e\",\"a\"]");
	EXPECT_PROCESS("\"Entrypoint\":[\"e\"],\"Cmd\":null", "args", "[\"e\"]");
	EXPECT_PROCESS("\"Entrypoint\":[\"\"],\"Cmd\":[\"a\"]", "args", "[\"a\"]");
	EXPECT_PROCESS("\"Entrypoint\":[\"e\",\"\"]", "args", "[\"e\",\"\"]");
}

static void takes_other_args(void)
{
	static const char *const words[] = {"echo", "", "a b"}, *const latin[] = {"\xe9"};
	struct bundle_spec spec = a_spec();
	struct snapdrv_error err = {0};
	cleanup_json json_t *bundle = NULL;

	spec.args = words;
	spec.n_args = 3;
	bundle = make(&spec, "{\"config\":{\"Entrypoint\":[\"e\"],\"Cmd\":[\"a\"]}}", NULL);
	EXPECT("process/args", "[\"echo\",\"\",\"a b\"]");
	spec.args = latin;
	spec.n_args = 1;
	CHECK(!make(&spec, "{}", &err));
	CHECK(err.code == SNAPDRV_USAGE);
	CHECK_TEXT(err.message, "image config: '\\xe9': not UTF-8, as JSON must be");
}

static void needs_a_command(void)
{
	static const char *const documents[] = {
		"{}",
		"{\"config\":null}",
		"{\"config\":{}}",
		"{\"config\":{\"Cmd\":[],\"Entrypoint\":[]}}",
		"{\"config\":{\"Entrypoint\":[\"\"]}}",
	};
	struct bundle_spec spec = a_spec();

	for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		struct snapdrv_error err = {0};

		CHECK(!make(&spec, documents[i], &err));
		CHECK(err.code == SNAPDRV_USAGE && strstr(err.message, "no command"));
	}
}

#define PATH "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\""

static void makes_the_environment(void)
{
	EXPECT_PROCESS("\"Cmd\":[\"a\"]", "env", "[" PATH ",\"HOSTNAME=web\",\"HOME=/root\"]");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"User\":\"app\",\"Env\":[\"A=1\",\"B=\",\"A==2\"]", "env",
		       "[" PATH ",\"HOSTNAME=web\",\"HOME=/home/app\",\"A=1\",\"B=\",\"A==2\"]");
	EXPECT_PROCESS(
		"\"Cmd\":[\"a\"],\"Env\":[\"HOME=/h\",\"PATH=/p\",\"HOSTNAME=\",\"PATHS=1\"]",
		"env", "[\"HOME=/h\",\"PATH=/p\",\"HOSTNAME=\",\"PATHS=1\"]");
}

/* docker: NAME alone takes the default away, and is no variable itself. */
static void drops_entries_without_a_value(void)
{
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"Env\":[\"PATH\",\"OTHER\",\"\",\"A=1\"]", "env",
		       "[\"HOSTNAME=web\",\"HOME=/root\",\"A=1\"]");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"Env\":[\"=1\"]", "env",
		       "image config: 'Env' has an entry without a name: '=1'");
}

static void gives_a_terminal_its_name(void)
{
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle = NULL;

	spec.terminal = 1;
	bundle = make(&spec, "{\"config\":{\"Cmd\":[\"a\"],\"Env\":[\"HOME=/\"]}}", NULL);
	EXPECT("process/env", "[" PATH ",\"HOSTNAME=web\",\"TERM=xterm\",\"HOME=/\"]");
}

static void works_in_an_absolute_directory(void)
{
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"WorkingDir\":\"/srv/a b\"", "cwd", "\"/srv/a b\"");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"WorkingDir\":\"\"", "cwd", "\"/\"");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"WorkingDir\":\"srv\"", "cwd",
		       "image config: 'WorkingDir' is 'srv', not an absolute path");
}

static void runs_as_the_user(void)
{
	EXPECT_PROCESS("\"Cmd\":[\"a\"]", "user", "{\"uid\":0,\"gid\":0,\"additionalGids\":[0]}");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"User\":\"app\"", "user",
		       "{\"uid\":1000,\"gid\":5,\"additionalGids\":[5,44]}");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"User\":\"2147483647:7\"", "user",
		       "{\"uid\":2147483647,\"gid\":7,\"additionalGids\":[7]}");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"User\":\"nobody\"", "user",
		       "image config: user 'nobody': not in the image's /etc/passwd");
}

static void refuses_a_passwd_that_is_no_file(void)
{
	struct bundle_spec spec = a_spec();
	struct snapdrv_error err = {0};

	passwd_fails = 1;
	CHECK(!make(&spec, "{\"config\":{\"Cmd\":[\"a\"]}}", &err));
	CHECK(err.code == SNAPDRV_REFUSED);
	CHECK_TEXT(err.message, "image config: /etc/passwd: not a regular file");

	passwd_fails = 0;
	passwd_text = "root:x:0:0::/\xff:\n";
	CHECK(!make(&spec, "{\"config\":{\"Cmd\":[\"a\"]}}", &err));
	CHECK(err.code == SNAPDRV_REFUSED && strstr(err.message, "UTF-8"));

	passwd_text = NULL;
	json_decref(make(&spec, "{\"config\":{\"Cmd\":[\"a\"]}}", &err));
}

#define CAPABILITIES                                                                       \
	"[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FSETID\",\"CAP_FOWNER\",\"CAP_MKNOD\"," \
	"\"CAP_NET_RAW\",\"CAP_SETGID\",\"CAP_SETUID\",\"CAP_SETFCAP\",\"CAP_SETPCAP\","   \
	"\"CAP_NET_BIND_SERVICE\",\"CAP_SYS_CHROOT\",\"CAP_KILL\",\"CAP_AUDIT_WRITE\"]"

static void gives_docker_s_capabilities(void)
{
	EXPECT_PROCESS("\"Cmd\":[\"a\"]", "capabilities",
		       "{\"bounding\":" CAPABILITIES ",\"effective\":" CAPABILITIES
		       ",\"permitted\":" CAPABILITIES ",\"inheritable\":[]}");
	EXPECT_PROCESS("\"Cmd\":[\"a\"],\"User\":\"app\"", "capabilities",
		       "{\"bounding\":" CAPABILITIES
		       ",\"effective\":[],\"permitted\":[],\"inheritable\":[]}");
}

static void has_docker_s_mounts(void)
{
	static const char *const wanted[] = {
		"/proc proc proc nosuid noexec nodev",
		"/dev tmpfs tmpfs nosuid strictatime mode=755 size=65536k",
		"/dev/pts devpts devpts nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5",
		"/sys sysfs sysfs nosuid noexec nodev ro",
		"/sys/fs/cgroup cgroup cgroup ro nosuid noexec nodev",
		"/dev/mqueue mqueue mqueue nosuid noexec nodev",
		"/dev/shm tmpfs shm nosuid noexec nodev mode=1777 size=67108864",
	};
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle = make(&spec, "{\"config\":{\"Cmd\":[\"a\"]}}", NULL);
	json_t *mount, *option;
	size_t i, j;

	CHECK(json_array_size(at(bundle, "mounts")) == sizeof(wanted) / sizeof(*wanted));
	json_array_foreach(at(bundle, "mounts"), i, mount) {
		char got[200];

		snprintf(got, sizeof(got), "%s %s %s", json_string_value(at(mount, "destination")),
			 json_string_value(at(mount, "type")),
			 json_string_value(at(mount, "source")));
		json_array_foreach(at(mount, "options"), j, option) {
			strcat(got, " ");
			strcat(got, json_string_value(option));
		}
		CHECK_TEXT(got, wanted[i]);
	}
}

static int holds(json_t *array, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item) {
		if (!strcmp(json_string_value(item), text))
			return 1;
	}
	return 0;
}

static void has_docker_s_limits(void)
{
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle = make(&spec, "{\"config\":{\"Cmd\":[\"a\"]}}", NULL);
	json_t *rules = at(bundle, "linux/resources/devices");
	cleanup_free char *first = json_dumps(json_array_get(rules, 0), JSON_COMPACT);
	cleanup_free char *last = json_dumps(json_array_get(rules, 7), JSON_COMPACT);

	EXPECT("linux/namespaces",
	       "[{\"type\":\"mount\"},{\"type\":\"network\"},{\"type\":\"uts\"},"
	       "{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"cgroup\"}]");
	EXPECT("linux/readonlyPaths", "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\","
				      "\"/proc/sysrq-trigger\"]");
	CHECK(json_array_size(at(bundle, "linux/maskedPaths")) >= 12);
	CHECK(holds(at(bundle, "linux/maskedPaths"), "/proc/kcore"));
	CHECK(holds(at(bundle, "linux/maskedPaths"), "/proc/interrupts"));
	CHECK(holds(at(bundle, "linux/maskedPaths"), "/sys/firmware"));
	CHECK(json_array_size(rules) == 8);
	CHECK_TEXT(first, "{\"allow\":false,\"access\":\"rwm\"}");
	CHECK_TEXT(
		last,
		"{\"allow\":false,\"type\":\"c\",\"major\":10,\"minor\":229,\"access\":\"rwm\"}");
}

static void tells_what_the_image_says_of_itself(void)
{
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle = make(
		&spec,
		"{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\",\"author\":\"me\","
		"\"created\":\"2024-01-02T03:04:05Z\",\"os.version\":\"1\","
		"\"os.features\":[\"a\",\"b\"],"
		"\"config\":{\"Cmd\":[\"a\"],\"StopSignal\":\"SIGQUIT\","
		"\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},"
		"\"Labels\":{\"org.opencontainers.image.author\":\"label\",\"k\":\"\"}}}",
		NULL);

	EXPECT("annotations", "{\"org.opencontainers.image.author\":\"label\",\"k\":\"\","
			      "\"org.opencontainers.image.os\":\"linux\","
			      "\"org.opencontainers.image.architecture\":\"arm64\","
			      "\"org.opencontainers.image.variant\":\"v8\","
			      "\"org.opencontainers.image.os.version\":\"1\","
			      "\"org.opencontainers.image.created\":\"2024-01-02T03:04:05Z\","
			      "\"org.opencontainers.image.stopSignal\":\"SIGQUIT\","
			      "\"org.opencontainers.image.os.features\":\"a,b\","
			      "\"org.opencontainers.image.exposedPorts\":\"80/tcp,53/udp\"}");
}

static void passes_no_orders_on(void)
{
	struct bundle_spec spec = a_spec();
	cleanup_json json_t *bundle =
		make(&spec,
		     "{\"config\":{\"Cmd\":[\"a\"],\"Labels\":{\"run.oci.hooks.stdout\":\"/x\","
		     "\"org.systemd.property.ExecStart\":\"x\",\"org.criu.config\":\"/x\","
		     "\"io.katacontainers.config.hypervisor.path\":\"/x\",\"run.ocic\":\"kept\"}}}",
		     NULL);

	EXPECT("annotations", "{\"run.ocic\":\"kept\"}");
}

static void refuses_wrong_types(void)
{
	static const char *const documents[] = {
		"[]",
		"{\"config\":[]}",
		"{\"config\":\"\"}",
		"{\"os\":7,\"config\":{\"Cmd\":[\"a\"]}}",
		"{\"author\":[],\"config\":{\"Cmd\":[\"a\"]}}",
		"{\"os.features\":{},\"config\":{\"Cmd\":[\"a\"]}}",
		"{\"os.features\":[1],\"config\":{\"Cmd\":[\"a\"]}}",
		"{\"config\":{\"Cmd\":\"a\"}}",
		"{\"config\":{\"Cmd\":{}}}",
		"{\"config\":{\"Cmd\":[\"a\",1]}}",
		"{\"config\":{\"Cmd\":[[\"a\"]]}}",
		"{\"config\":{\"Cmd\":[null]}}",
		"{\"config\":{\"Entrypoint\":7,\"Cmd\":[\"a\"]}}",
		"{\"config\":{\"Entrypoint\":[7],\"Cmd\":[\"a\"]}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"Env\":{\"A\":\"1\"}}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"Env\":[1]}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"User\":0}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"WorkingDir\":[]}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"Labels\":[]}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"Labels\":{\"a\":1}}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"StopSignal\":9}}",
		"{\"config\":{\"Cmd\":[\"a\"],\"ExposedPorts\":[80]}}",
	};
	struct bundle_spec spec = a_spec();

	for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		struct snapdrv_error err = {0};

		if (!CHECK(!make(&spec, documents[i], &err)))
			printf("# it was %s\n", documents[i]);
		CHECK(err.code == SNAPDRV_REFUSED);
		CHECK(!strncmp(err.message, "image config: ", 14) && !strchr(err.message, '\n'));
		CHECK(!make(&spec, documents[i], NULL));
	}
}

int main(void)
{
	RUN(has_the_frame);
	RUN(follows_the_flags);
	RUN(makes_args);
	RUN(takes_other_args);
	RUN(needs_a_command);
	RUN(makes_the_environment);
	RUN(drops_entries_without_a_value);
	RUN(gives_a_terminal_its_name);
	RUN(works_in_an_absolute_directory);
	RUN(runs_as_the_user);
	RUN(refuses_a_passwd_that_is_no_file);
	RUN(gives_docker_s_capabilities);
	RUN(has_docker_s_mounts);
	RUN(has_docker_s_limits);
	RUN(tells_what_the_image_says_of_itself);
	RUN(passes_no_orders_on);
	RUN(refuses_wrong_types);
	return UNIT_STATUS;
}
