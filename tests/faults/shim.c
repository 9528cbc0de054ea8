/* Stands between a recorder and the system, loaded with LD_PRELOAD, and meddles with calls on the files below one folder.
 *
 * It counts these calls and makes chosen ones fail, come up short, take long, or be the last that the process makes. It
 * can write down every change to the files, for a model of the loss of power, and it can move the clock. What to do
 * stands in a page that is shared with whoever started the process (tests/faults/shim.py), who may change it meanwhile.
 *
 * The system is called directly, never through the functions that are replaced here. What the recorder calls without the
 * C library passes by: fallocate, for which there is a seccomp filter below, and the clock, whose code in the
 * vDSO is overwritten. Stores through a mapping are no calls at all. */

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

/* Kinds of calls, and of records in the log. The numbers are those of shim.py. */
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

/* The words of the shared page. */
enum word { CALLS, MEDDLED, KINDS, FIRST, LAST, ACTION, ERROR, DELAY_MICROS, DELAYED, CLOCK_NANOS, WORDS };

static _Atomic uint64_t private_words[WORDS];
static _Atomic uint64_t *words = private_words;
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- Whether a call is meddled with --- */

static bool is_ours(const char *path) {
    return root_length && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

static bool path_of(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0)
        return false;
    path[length] = 0;
    return is_ours(path);
}

static bool is_watching(enum kind kind) {
    return (words[KINDS] & kind) || (log_fd >= 0 && kind != READ);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a call on a file of ours, and says what is to be done to it. What is done before the call is done here. */
static enum action judge(enum kind kind) {
    if (!(words[KINDS] & kind))
        return NOTHING;
    uint64_t number = ++words[CALLS];
    if (number < words[FIRST] || number > words[LAST])
        return NOTHING;
    words[MEDDLED]++;
    enum action action = words[ACTION];
    if (action == SHORTEN && number > words[FIRST])
        action = FAIL;
    if (action == DIE_BEFORE)
        die();
    if (action == DELAY) {
        words[DELAYED]++;
        /* In short naps, so that it ends when whoever started us wants it to. */
        for (uint64_t waited = 0; waited < words[DELAY_MICROS] && (words[KINDS] & kind); waited += 1000)
            syscall(SYS_nanosleep, &(struct timespec){0, 1000 * 1000}, NULL);
        words[DELAYED]--;
    }
    if (action == FAIL)
        errno = words[ERROR];
    return action;
}

/* --- The log: what changed, in the order in which it did --- */

struct record {
    uint32_t kind, path_bytes, other_bytes, data_bytes;
    uint64_t offset;
};

static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t written = syscall(SYS_write, log_fd, bytes, length);
        if (written <= 0)
            die(); /* A log with a hole would be worse than a try that fails. */
        bytes = (const char *)bytes + written;
        length -= written;
    }
}

static void note(enum kind kind, const char *path, const char *other, const void *data, size_t length, uint64_t offset) {
    struct record record = {kind, strlen(path), strlen(other), length, offset};
    put(&record, sizeof record);
    put(path, record.path_bytes);
    put(other, record.other_bytes);
    put(data, length);
}

/* Between these two nothing else is changed, so that the log has the order of what it tells. */
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
    enum action action = judge(WRITE);
    if (action == FAIL)
        return -1;
    if ((action == SHORTEN || action == DIE_HALFWAY) && length > 1)
        length /= 2;
    begin();
    off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
    ssize_t written = write_at(fd, data, length, offset);
    if (log_fd >= 0 && written > 0)
        note(WRITE, path, "", data, written, at);
    end();
    if (action == DIE_HALFWAY || action == DIE_AFTER)
        die();
    return written;
}

ssize_t write(int fd, const void *data, size_t length) { return change(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return change(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return change(fd, data, length, offset); }

/* One piece after the other, which is what a system that writes less than asked does, too. */
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
        enum action action = judge(READ);
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
    enum action action = judge(SYNC);
    begin();
    int result = action == FAIL ? -1 : syscall(call, fd);
    int error = errno;
    if (log_fd >= 0)
        note(SYNC, path, "", "", 0, result != 0);
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
    enum action action = judge(TRUNCATE);
    if (action == FAIL)
        return -1;
    begin();
    int result = syscall(SYS_ftruncate, fd, length);
    if (log_fd >= 0 && result == 0)
        note(TRUNCATE, path, "", "", 0, length);
    end();
    if (action == DIE_HALFWAY || action == DIE_AFTER)
        die();
    return result;
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    char path[PATH_MAX];
    if ((words[KINDS] & MAP) && fd >= 0 && path_of(fd, path) && judge(MAP) == FAIL)
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}

/* --- Calls on names; whoever uses this gives absolute ones --- */

static int open_by(int folder, const char *path, int flags, mode_t mode) {
    enum action action = NOTHING;
    bool is_change = (flags & (O_CREAT | O_TRUNC)) && is_watching(CREATE) && is_ours(path);
    bool is_write = (flags & O_ACCMODE) != O_RDONLY && is_ours(path);
    if (is_change || is_write)
        action = judge(CREATE);
    else if ((words[KINDS] & READ) && is_ours(path))
        action = judge(READ);
    if (action == FAIL)
        return -1;
    begin();
    bool is_new = log_fd >= 0 && is_change && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = syscall(SYS_openat, folder, path, flags, mode);
    if (is_new && fd >= 0)
        note(CREATE, path, "", "", 0, 0);
    else if (log_fd >= 0 && is_change && (flags & O_TRUNC) && fd >= 0)
        note(TRUNCATE, path, "", "", 0, 0);
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

/* A call that changes names and nothing else. */
#define ON_NAMES(kind, path, other, call)                                                                               \
    enum action action = is_watching(kind) && is_ours(path) ? judge(kind) : NOTHING;                                    \
    if (action == FAIL)                                                                                                 \
        return -1;                                                                                                      \
    begin();                                                                                                            \
    int result = call;                                                                                                  \
    if (log_fd >= 0 && result == 0 && is_ours(path))                                                                    \
        note(kind, path, other, "", 0, 0);                                                                              \
    end();                                                                                                              \
    if (action == DIE_HALFWAY || action == DIE_AFTER)                                                                   \
        die();                                                                                                          \
    return result;

int rename(const char *from, const char *to) {
    ON_NAMES(RENAME, from, to, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0))
}

int unlink(const char *path) { ON_NAMES(UNLINK, path, "", syscall(SYS_unlinkat, AT_FDCWD, path, 0)) }

int mkdir(const char *path, mode_t mode) { ON_NAMES(MKDIR, path, "", syscall(SYS_mkdirat, AT_FDCWD, path, mode)) }

/* --- What passes the C library by --- */

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

/* Has the vDSO's clock_gettime, which everybody ends up in, jump to ours. */
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

/* Has every fallocate fail with this error. */
static bool refuse_fallocate(int error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The exit code of a process in which something could not be set up. */
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
    if (fallocate_error && !refuse_fallocate(atoi(fallocate_error)))
        _exit(UNAVAILABLE);
    if (folder) {
        snprintf(root, sizeof root, "%s", folder);
        root_length = strlen(root);
    }
}
