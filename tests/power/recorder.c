/* Records what a process does to the files below $POWER_DIR, in order, so that a power cut can be played at any point.
 * Preloaded with LD_PRELOAD. It stands before libc's calls only: writes through mmap, raw system calls or C's own
 * buffered FILE are not seen, which the lab notices, because a whole replay then differs from the real files.
 *
 * One record: op u8, kind-dependent number u64, path length u32, data length u32, path, data (little-endian, packed).
 * Each record is one append to $POWER_LOG after the call has returned and before its caller goes on: whatever happened
 * before something else stands before it in the log, across threads and processes.
 *
 * With $POWER_FAIL="KIND NUMBER" one call on a watched file goes wrong once: of the writes the one with that number (enospc, eio,
 * short), or of the syncs (sync). Counting begins in each process, and if $POWER_FAIL_WHEN names a file, once that is there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { OP_CREATE = 1, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_UNLINK, OP_RENAME, OP_ACK, OP_STRUCK, OP_LINK };

#pragma pack(push, 1)
struct head { uint8_t op; uint64_t number; uint32_t path_length; uint32_t data_length; };
#pragma pack(pop)

static int log_fd = -1;
static char folder[PATH_MAX];
static size_t folder_length;
static char ack_path[PATH_MAX];
static char fail_kind[16];
static long fail_at, fail_count;
static char fail_when[PATH_MAX];

/* Below the descriptors that programs count on, above those they close in bulk. */
#define LOG_FD_FROM 700

static void give_up(const char *what) {
  /* A hole in the record would make every later answer worthless. */
  fprintf(stderr, "power recorder: %s: %s\n", what, strerror(errno));
  abort();
}

__attribute__((constructor)) static void begin(void) {
  const char *dir = getenv("POWER_DIR"), *log = getenv("POWER_LOG"), *ack = getenv("POWER_ACK");
  if (!dir || !log) return;
  if (!realpath(dir, folder)) give_up("POWER_DIR");
  folder_length = strlen(folder);
  if (ack) snprintf(ack_path, sizeof ack_path, "%s", ack);
  const char *fail = getenv("POWER_FAIL"), *when = getenv("POWER_FAIL_WHEN");
  if (fail && sscanf(fail, "%15s %ld", fail_kind, &fail_at) != 2) give_up("POWER_FAIL");
  if (when) snprintf(fail_when, sizeof fail_when, "%s", when);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) give_up("POWER_LOG");
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_FROM);
  if (log_fd < 0) give_up("POWER_LOG");
  syscall(SYS_close, fd);
}

static void append(enum op op, uint64_t number, const char *path, const struct iovec *data, int count, size_t length) {
  struct head head = { (uint8_t)op, number, (uint32_t)strlen(path), (uint32_t)length };
  struct iovec parts[IOV_MAX];
  int used = 2;
  parts[0] = (struct iovec){ &head, sizeof head };
  parts[1] = (struct iovec){ (void *)path, head.path_length };
  size_t left = length, total = sizeof head + head.path_length + length;
  for (int i = 0; i < count && left > 0; i++) {
    if (used == IOV_MAX) give_up("too many parts in one write");
    size_t part = data[i].iov_len < left ? data[i].iov_len : left;
    parts[used++] = (struct iovec){ data[i].iov_base, part };
    left -= part;
  }
  if (syscall(SYS_writev, log_fd, parts, used) != (ssize_t)total) give_up("writing POWER_LOG");
}

/* True if the path lies below the folder; the shared-memory file of SQLite is rebuilt after a crash and never counts. */
static int is_watched(const char *path) {
  size_t length = strlen(path);
  if (log_fd < 0 || strncmp(path, folder, folder_length) != 0) return 0;
  if (path[folder_length] != '/' && path[folder_length] != 0) return 0;
  return !(length > 4 && strcmp(path + length - 4, "-shm") == 0);
}

/* The path of an open file, or 0 if it is none of ours. */
static int path_of(int fd, char path[PATH_MAX]) {
  char link[40];
  if (log_fd < 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0 || path[0] != '/') return 0;
  path[length] = 0;
  if (length > 10 && strcmp(path + length - 10, " (deleted)") == 0) return 0;
  return is_watched(path) || (ack_path[0] && strcmp(path, ack_path) == 0);
}

/* The path a name stands for, its folder resolved; 0 if it is none of ours. */
static int path_at(int at, const char *name, char path[PATH_MAX]) {
  char copy[PATH_MAX], parent[PATH_MAX], start[PATH_MAX] = "";
  if (log_fd < 0) return 0;
  if (name[0] != '/' && at != AT_FDCWD) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, start, PATH_MAX - 2);
    if (length <= 0) return 0;
    start[length] = '/';
    start[length + 1] = 0;
  }
  if (snprintf(copy, sizeof copy, "%s%s", start, name) >= (int)sizeof copy) return 0;
  char *slash = strrchr(copy, '/');
  const char *last = slash ? slash + 1 : copy;
  if (slash) *slash = 0;
  if (!realpath(slash ? (copy[0] ? copy : "/") : ".", parent)) return 0;
  if (snprintf(path, PATH_MAX, "%s/%s", parent, last) >= PATH_MAX) return 0;
  return is_watched(path);
}

/* Whether this call is the one that goes wrong. */
static int struck(int fd, int is_sync) {
  char path[PATH_MAX];
  if (!fail_at || (strcmp(fail_kind, "sync") == 0) != is_sync) return 0;
  if (!path_of(fd, path) || (ack_path[0] && strcmp(path, ack_path) == 0)) return 0;
  if (fail_when[0] && access(fail_when, F_OK) != 0) return 0;
  if (__atomic_add_fetch(&fail_count, 1, __ATOMIC_SEQ_CST) != fail_at) return 0;
  append(OP_STRUCK, 0, path, NULL, 0, 0);
  return 1;
}

/* A write that goes wrong writes half, or nothing and says why. */
#define STRIKE(length) \
  if (log_fd >= 0 && fail_at && struck(fd, 0)) { \
    if (strcmp(fail_kind, "short") == 0 && (length) > 1) length /= 2; \
    else { \
      errno = strcmp(fail_kind, "eio") == 0 ? EIO : ENOSPC; \
      return -1; \
    } \
  }

static void wrote(int fd, off_t offset, const struct iovec *data, int count, ssize_t written) {
  int kept = errno;
  char path[PATH_MAX];
  if (written > 0 && path_of(fd, path)) {
    int is_ack = ack_path[0] && strcmp(path, ack_path) == 0;
    append(is_ack ? OP_ACK : OP_WRITE, (uint64_t)offset, path, data, count, (size_t)written);
  }
  errno = kept;
}

/* Where a write without an offset has ended, which is right for O_APPEND too. */
static off_t end_of(int fd, ssize_t written) {
  off_t end = lseek(fd, 0, SEEK_CUR);
  return end < 0 ? 0 : end - written;
}

static void sized(int fd, off_t size) {
  int kept = errno;
  char path[PATH_MAX];
  if (path_of(fd, path)) append(OP_TRUNCATE, (uint64_t)size, path, NULL, 0, 0);
  errno = kept;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);

ssize_t write(int fd, const void *data, size_t length) {
  REAL(write)
  STRIKE(length)
  ssize_t written = real(fd, data, length);
  struct iovec part = { (void *)data, length };
  if (log_fd >= 0 && written > 0) wrote(fd, end_of(fd, written), &part, 1, written);
  return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev)
  STRIKE(count)
  ssize_t written = real(fd, parts, count);
  if (log_fd >= 0 && written > 0) wrote(fd, end_of(fd, written), parts, count, written);
  return written;
}

#define PWRITE(name, offset_type) \
  ssize_t name(int fd, const void *data, size_t length, offset_type offset) { \
    REAL(name) \
    STRIKE(length) \
    ssize_t written = real(fd, data, length, offset); \
    struct iovec part = { (void *)data, length }; \
    wrote(fd, offset, &part, 1, written); \
    return written; \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type) \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type offset) { \
    REAL(name) \
    STRIKE(count) \
    ssize_t written = real(fd, parts, count, offset); \
    wrote(fd, offset, parts, count, written); \
    return written; \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define FTRUNCATE(name, offset_type) \
  int name(int fd, offset_type size) { \
    REAL(name) \
    int result = real(fd, size); \
    if (result == 0) sized(fd, size); \
    return result; \
  }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

/* Only the size it makes counts: what it adds are zeros. */
#define FALLOCATE(name, arguments, call) \
  int name arguments { \
    REAL(name) \
    struct stat before, after; \
    int known = log_fd >= 0 && fstat(fd, &before) == 0; \
    int result = real call; \
    if (result == 0 && known && fstat(fd, &after) == 0 && after.st_size != before.st_size) sized(fd, after.st_size); \
    return result; \
  }
FALLOCATE(fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
FALLOCATE(fallocate64, (int fd, int mode, off64_t offset, off64_t length), (fd, mode, offset, length))
FALLOCATE(posix_fallocate, (int fd, off_t offset, off_t length), (fd, offset, length))
FALLOCATE(posix_fallocate64, (int fd, off64_t offset, off64_t length), (fd, offset, length))

/* A sync covers what stood in the log when it began; others may have written while it ran. */
#define SYNC(name) \
  int name(int fd) { \
    REAL(name) \
    struct stat log; \
    char path[PATH_MAX]; \
    int ours = path_of(fd, path); \
    if (log_fd >= 0 && fail_at && struck(fd, 1)) { \
      errno = EIO; \
      return -1; \
    } \
    if (ours && syscall(SYS_fstat, log_fd, &log) != 0) give_up("POWER_LOG"); \
    int result = real(fd); \
    if (ours && result == 0) append(OP_SYNC, (uint64_t)log.st_size, path, NULL, 0, 0); \
    return result; \
  }
SYNC(fsync)
SYNC(fdatasync)

static int opened(int fd, int flags, int existed) {
  int kept = errno;
  char path[PATH_MAX];
  struct stat now;
  if (fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && path_of(fd, path) && strcmp(path, ack_path) != 0) {
    if (!existed) append(OP_CREATE, 0, path, NULL, 0, 0);
    else if ((flags & O_TRUNC) && fstat(fd, &now) == 0 && S_ISREG(now.st_mode)) append(OP_TRUNCATE, 0, path, NULL, 0, 0);
  }
  errno = kept;
  return fd;
}

static int exists(int at, const char *name, int flags) {
  int kept = errno;
  int result = !(flags & O_CREAT) || faccessat(at, name, F_OK, 0) == 0;
  errno = kept;
  return result;
}

#define MODE \
  va_list list; \
  va_start(list, flags); \
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, mode_t) : 0; \
  va_end(list);

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(name) \
    MODE \
    int existed = exists(AT_FDCWD, path, flags); \
    return opened(real(path, flags, mode), flags, existed); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int at, const char *path, int flags, ...) { \
    REAL(name) \
    MODE \
    int existed = exists(at, path, flags); \
    return opened(real(at, path, flags, mode), flags, existed); \
  }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static int unlinked(int result, int ours, const char *path) {
  int kept = errno;
  if (result == 0 && ours) append(OP_UNLINK, 0, path, NULL, 0, 0);
  errno = kept;
  return result;
}

int unlink(const char *name) {
  REAL(unlink)
  char path[PATH_MAX];
  int ours = path_at(AT_FDCWD, name, path);
  return unlinked(real(name), ours, path);
}

int unlinkat(int at, const char *name, int flags) {
  REAL(unlinkat)
  char path[PATH_MAX];
  int ours = !(flags & AT_REMOVEDIR) && path_at(at, name, path);
  return unlinked(real(at, name, flags), ours, path);
}

static int named(enum op op, int result, int ours, const char *from, const char *to) {
  int kept = errno;
  struct iovec target = { (void *)to, strlen(to) };
  if (result == 0 && ours) append(op, 0, from, &target, 1, target.iov_len);
  errno = kept;
  return result;
}

int rename(const char *from, const char *to) {
  REAL(rename)
  char old[PATH_MAX], new[PATH_MAX];
  int ours = path_at(AT_FDCWD, from, old) && path_at(AT_FDCWD, to, new);
  return named(OP_RENAME, real(from, to), ours, old, new);
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
  REAL(renameat)
  char old[PATH_MAX], new[PATH_MAX];
  int ours = path_at(from_at, from, old) && path_at(to_at, to, new);
  return named(OP_RENAME, real(from_at, from, to_at, to), ours, old, new);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  REAL(renameat2)
  char old[PATH_MAX], new[PATH_MAX];
  int ours = path_at(from_at, from, old) && path_at(to_at, to, new);
  errno = ENOSYS;
  if (ours && (flags & RENAME_EXCHANGE)) give_up("an exchange of two names is not modelled");
  return named(OP_RENAME, real(from_at, from, to_at, to, flags), ours, old, new);
}

int link(const char *from, const char *to) {
  REAL(link)
  char old[PATH_MAX], new[PATH_MAX];
  int ours = path_at(AT_FDCWD, from, old) && path_at(AT_FDCWD, to, new);
  return named(OP_LINK, real(from, to), ours, old, new);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  REAL(linkat)
  char old[PATH_MAX], new[PATH_MAX];
  int ours = path_at(from_at, from, old) && path_at(to_at, to, new);
  return named(OP_LINK, real(from_at, from, to_at, to, flags), ours, old, new);
}

/* Callers fall back to read and write, which are seen. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
  (void)in, (void)in_at, (void)out, (void)out_at, (void)length, (void)flags;
  errno = ENOSYS;
  return -1;
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t length) {
  REAL(sendfile64)
  char path[PATH_MAX];
  if (path_of(out, path)) {
    errno = ENOSYS;
    return -1;
  }
  return real(out, in, offset, length);
}
