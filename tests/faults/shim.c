/* Intercepts a recorder's calls on the files below one folder; loaded with LD_PRELOAD.
 *
 * It counts these calls and makes chosen ones fail, return short counts, take long, or kill the process. It can log
 * every change to the files, for a model of power loss, and it can move the clock. A page shared with the parent process
 * (tests/faults/shim.py), which may change it at any time, contains the action.
 *
 * Functions here use system calls directly, never the functions that they replace. Calls that do not go through the C
 * library are handled separately: fallocate with a seccomp filter, and the clock by overwriting its code in the vDSO.
 * Stores through a mapping cannot be intercepted. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Kinds of calls, and of records in the log; the same numbers as in shim.py. */
enum kind {
    READ = 1 << 0,
    WRITE = 1 << 1,
    SYNC = 1 << 2,
    TRUNCATE = 1 << 3,
    CREATE = 1 << 4,
    RENAME = 1 << 5,
    UNLINK = 1 << 6,
    MAP = 1 << 7,
    MKDIR = 1 << 8,
};

enum action { NOTHING, FAIL, SHORTEN, DELAY, DIE_BEFORE, DIE_HALFWAY, DIE_AFTER };

/* The words of the shared page, as in shim.py. */
enum word { CALLS, INJECTED, KINDS, FIRST, LAST, ACTION, ERROR, DELAY_MICROS, DELAYED, CLOCK_NANOS, WORDS };

static _Atomic uint64_t private_words[WORDS];
static _Atomic uint64_t *words = private_words;
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- Whether to act on a call --- */

static bool is_below_root(const char *path) {
    return root_length && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

static bool path_of(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0)
        return false;
    path[length] = 0;
    return is_below_root(path);
}

static bool is_watching(enum kind kind) {
    return (words[KINDS] & kind) || (log_fd >= 0 && kind != READ);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a call on a file below the root and returns its action. Actions that precede the call are applied here. */
static enum action intercept(enum kind kind) {
    if (!(words[KINDS] & kind))
        return NOTHING;
    uint64_t number = ++words[CALLS];
    if (number < words[FIRST] || number > words[LAST])
        return NOTHING;
    words[INJECTED]++;
    enum action action = words[ACTION];
    if (action == SHORTEN && number > words[FIRST])
        action = FAIL;
    if (action == DIE_BEFORE)
        die();
    if (action == DELAY) {
        words[DELAYED]++;
        /* In short sleeps, so that the parent process can end the delay. */
        for (uint64_t waited = 0; waited < words[DELAY_MICROS] && (words[KINDS] & kind); waited += 1000)
            syscall(SYS_nanosleep, &(struct timespec){0, 1000 * 1000}, NULL);
        words[DELAYED]--;
    }
    if (action == FAIL)
        errno = words[ERROR];
    return action;
}

/* --- The log of changes, in order --- */

struct record {
    uint32_t kind, path_bytes, other_bytes, data_bytes;
    uint64_t offset;
};

static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t written = syscall(SYS_write, log_fd, bytes, length);
        if (written <= 0)
            die(); /* A trial that fails is better than a log with a gap. */
        bytes = (const char *)bytes + written;
        length -= written;
    }
}

static void log_change(enum kind kind, const char *path, const char *other, const void *data, size_t length,
                       uint64_t offset) {
    struct record record = {kind, strlen(path), strlen(other), length, offset};
    put(&record, sizeof record);
    put(path, record.path_bytes);
    put(other, record.other_bytes);
    put(data, length);
}

/* These serialize changes, so that the log has their order. */
static void begin(void) {
    if (log_fd >= 0)
        pthread_mutex_lock(&log_lock);
}

static void end(void) {
    if (log_fd >= 0)
        pthread_mutex_unlock(&log_lock);
}

/* --- Calls on open files --- */

static ssize_t write_at(int fd, const void *data, size_t length, off_t offset) {
    return offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
}

static ssize_t change(int fd, const void *data, size_t length, off_t offset) {
    char path[PATH_MAX];
    if (!is_watching(WRITE) || !path_of(fd, path))
        return write_at(fd, data, length, offset);
    enum action action = intercept(WRITE);
    if (action == FAIL)
        return -1;
    if ((action == SHORTEN || action == DIE_HALFWAY) && length > 1)
        length /= 2;
    begin();
    off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
    ssize_t written = write_at(fd, data, length, offset);
    if (log_fd >= 0 && written > 0)
        log_change(WRITE, path, "", data, written, at);
    end();
    if (action == DIE_HALFWAY || action == DIE_AFTER)
        die();
    return written;
}

ssize_t write(int fd, const void *data, size_t length) { return change(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return change(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return change(fd, data, length, offset); }

/* Writes one buffer after the other; short counts are allowed. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t written = write(fd, pieces[i].iov_base, pieces[i].iov_len);
        if (written < 0)
            return sum ? sum : written;
        sum += written;
        if ((size_t)written < pieces[i].iov_len)
            break;
    }
    return sum;
}

static ssize_t read_at(int fd, void *data, size_t length, off_t offset) {
    char path[PATH_MAX];
    if ((words[KINDS] & READ) && path_of(fd, path)) {
        enum action action = intercept(READ);
        if (action == FAIL)
            return -1;
        if (action == SHORTEN && length > 1)
            length /= 2;
    }
    return offset < 0 ? syscall(SYS_read, fd, data, length) : syscall(SYS_pread64, fd, data, length, offset);
}

ssize_t read(int fd, void *data, size_t length) { return read_at(fd, data, length, -1); }
ssize_t pread(int fd, void *data, size_t length, off_t offset) { return read_at(fd, data, length, offset); }
ssize_t pread64(int fd, void *data, size_t length, off64_t offset) { return read_at(fd, data, length, offset); }

static int sync_by(long call, int fd) {
    char path[PATH_MAX];
    if (!is_watching(SYNC) || !path_of(fd, path))
        return syscall(call, fd);
    enum action action = intercept(SYNC);
    begin();
    int result = action == FAIL ? -1 : syscall(call, fd);
    int error = errno;
    if (log_fd >= 0)
        log_change(SYNC, path, "", "", 0, result != 0);
    end();
    errno = error;
    if (action == DIE_HALFWAY || action == DIE_AFTER)
        die();
    return result;
}

int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

int ftruncate(int fd, off_t length) {
    char path[PATH_MAX];
    if (!is_watching(TRUNCATE) || !path_of(fd, path))
        return syscall(SYS_ftruncate, fd, length);
    enum action action = intercept(TRUNCATE);
    if (action == FAIL)
        return -1;
    begin();
    int result = syscall(SYS_ftruncate, fd, length);
    if (log_fd >= 0 && result == 0)
        log_change(TRUNCATE, path, "", "", 0, length);
    end();
    if (action == DIE_HALFWAY || action == DIE_AFTER)
        die();
    return result;
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    char path[PATH_MAX];
    if ((words[KINDS] & MAP) && fd >= 0 && path_of(fd, path) && intercept(MAP) == FAIL)
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}

/* --- Calls on names, which must be absolute --- */

static int open_by(int folder, const char *path, int flags, mode_t mode) {
    enum action action = NOTHING;
    bool is_change = (flags & (O_CREAT | O_TRUNC)) && is_watching(CREATE) && is_below_root(path);
    bool is_write = (flags & O_ACCMODE) != O_RDONLY && is_below_root(path);
    if (is_change || is_write)
        action = intercept(CREATE);
    else if ((words[KINDS] & READ) && is_below_root(path))
        action = intercept(READ);
    if (action == FAIL)
        return -1;
    begin();
    bool is_new = log_fd >= 0 && is_change && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = syscall(SYS_openat, folder, path, flags, mode);
    if (is_new && fd >= 0)
        log_change(CREATE, path, "", "", 0, 0);
    else if (log_fd >= 0 && is_change && (flags & O_TRUNC) && fd >= 0)
        log_change(TRUNCATE, path, "", "", 0, 0);
    end();
    if (action == DIE_HALFWAY || action == DIE_AFTER)
        die();
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                                      \
    int name(const char *path, int flags, ...) {                                                                        \
        va_list arguments;                                                                                              \
        va_start(arguments, flags);                                                                                     \
        mode_t mode = mode_of(flags, arguments);                                                                        \
        va_end(arguments);                                                                                              \
        return open_by(AT_FDCWD, path, flags, mode);                                                                    \
    }
#define OPENAT(name)                                                                                                    \
    int name(int folder, const char *path, int flags, ...) {                                                            \
        va_list arguments;                                                                                              \
        va_start(arguments, flags);                                                                                     \
        mode_t mode = mode_of(flags, arguments);                                                                        \
        va_end(arguments);                                                                                              \
        return open_by(folder, path, flags, mode);                                                                      \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* A call that only changes names. */
#define ON_NAMES(kind, path, other, call)                                                                               \
    enum action action = is_watching(kind) && is_below_root(path) ? intercept(kind) : NOTHING;                          \
    if (action == FAIL)                                                                                                 \
        return -1;                                                                                                      \
    begin();                                                                                                            \
    int result = call;                                                                                                  \
    if (log_fd >= 0 && result == 0 && is_below_root(path))                                                              \
        log_change(kind, path, other, "", 0, 0);                                                                        \
    end();                                                                                                              \
    if (action == DIE_HALFWAY || action == DIE_AFTER)                                                                   \
        die();                                                                                                          \
    return result;

int rename(const char *from, const char *to) {
    ON_NAMES(RENAME, from, to, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0))
}

int unlink(const char *path) { ON_NAMES(UNLINK, path, "", syscall(SYS_unlinkat, AT_FDCWD, path, 0)) }

int mkdir(const char *path, mode_t mode) { ON_NAMES(MKDIR, path, "", syscall(SYS_mkdirat, AT_FDCWD, path, mode)) }

/* --- Calls that bypass the C library --- */

static int clock_moved(clockid_t clock, struct timespec *time) {
    if (syscall(SYS_clock_gettime, clock, time) != 0)
        return -errno;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        __int128 nanos = (__int128)time->tv_sec * 1000000000 + time->tv_nsec + (int64_t)words[CLOCK_NANOS];
        time->tv_nsec = (nanos % 1000000000 + 1000000000) % 1000000000; /* never negative, before 1970 as well */
        time->tv_sec = (nanos - time->tv_nsec) / 1000000000;
    }
    return 0;
}

/* Redirects the vDSO's clock_gettime, which all clock functions use, to clock_moved. */
static bool replace_clock(void) {
#ifdef __x86_64__
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    unsigned char *code = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
    if (!code)
        return false;
    uintptr_t page = (uintptr_t)code & ~4095ul;
    if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    unsigned char jump[] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0}; /* mov rax, clock_moved; jmp rax */
    int (*target)(clockid_t, struct timespec *) = clock_moved;
    memcpy(jump + 2, &target, sizeof target);
    memcpy(code, jump, sizeof jump);
    return true;
#else
    return false;
#endif
}

/* Makes every fallocate fail with this error. */
static bool fail_fallocate(int error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The exit code if the setup fails. */
enum { UNAVAILABLE = 77 };

__attribute__((constructor)) static void set_up(void) {
    const char *page = getenv("HOLTER_SHIM_CONTROL"), *folder = getenv("HOLTER_SHIM_ROOT");
    const char *log = getenv("HOLTER_SHIM_LOG"), *fallocate_error = getenv("HOLTER_SHIM_FALLOCATE");
    if (page) {
        int fd = syscall(SYS_openat, AT_FDCWD, page, O_RDWR | O_CLOEXEC, 0);
        void *mapped = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || mapped == MAP_FAILED)
            _exit(UNAVAILABLE);
        words = mapped;
        close(fd);
    }
    if (log) {
        log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0)
            _exit(UNAVAILABLE);
    }
    if (getenv("HOLTER_SHIM_CLOCK") && !replace_clock())
        _exit(UNAVAILABLE);
    if (fallocate_error && !fail_fallocate(atoi(fallocate_error)))
        _exit(UNAVAILABLE);
    if (folder) {
        snprintf(root, sizeof root, "%s", folder);
        root_length = strlen(root);
    }
}
