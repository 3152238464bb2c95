// A library to preload: stands before the C library's file calls, counts them, and lets one of them go wrong. See inject.h.
#include "inject.h"

#include "clock.h"
#include "lose.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// A call that is made or fails as a whole. ARGS are those of the call, NEVER is what it returns when it fails.
#define WHOLE(name, is_ours, fd, path, traits, never, args) \
  if (!(is_ours)) return NEXT(name) args; \
  if (arrive(#name, fd, path, traits, 0) == FAIL) return never; \
  return NEXT(name) args

// The same for calls that change names; `already` is what the second of two equal requests is told.
#define NAMING(name, is_ours, fd, path, traits, already, args) \
  if (!(is_ours)) return NEXT(name) args; \
  int what = arrive(#name, fd, path, (traits) | NAMES, 0); \
  if (what == FAIL) return -1; \
  int done = NEXT(name) args; \
  if (what == DO_AND_FAIL && !done) { errno = already; return -1; } \
  return done

// Opening: whatever is opened is watched from then on.
#define OPENING(name, is_ours, fd, path, args) \
  va_list rest; \
  va_start(rest, flags); \
  mode_t mode = va_arg(rest, mode_t); \
  va_end(rest); \
  if (!(is_ours)) return NEXT(name) args; \
  if (arrive(#name, fd, path, INTR | (flags & O_CREAT ? GROWS : 0), 0) == FAIL) return -1; \
  return watch(NEXT(name) args, 1)

int open(const char *path, int flags, ...) { OPENING(open, below_root(path), -1, path, (path, flags, mode)); }
int open64(const char *path, int flags, ...) { OPENING(open64, below_root(path), -1, path, (path, flags, mode)); }
int openat(int folder, const char *path, int flags, ...) {
  OPENING(openat, is_watched_at(folder, path), folder, path, (folder, path, flags, mode));
}
int openat64(int folder, const char *path, int flags, ...) {
  OPENING(openat64, is_watched_at(folder, path), folder, path, (folder, path, flags, mode));
}
DIR *opendir(const char *path) {
  if (!below_root(path)) return NEXT(opendir)(path);
  if (arrive("opendir", -1, path, INTR, 0) == FAIL) return NULL;
  DIR *folder = NEXT(opendir)(path);
  if (folder) watch(dirfd(folder), 1);
  return folder;
}

// Closing takes place even where it says that it failed.
int close(int fd) {
  if (!is_watched(fd)) return NEXT(close)(fd);
  int what = arrive("close", fd, NULL, INTR, 0), number = errno;
  watch(fd, 0);
  int closed = NEXT(close)(fd);
  if (what != FAIL) return closed;
  errno = number;
  return -1;
}
int closedir(DIR *folder) {
  watch(dirfd(folder), 0);
  return NEXT(closedir)(folder);
}
int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  long value = va_arg(rest, long);
  va_end(rest);
  int given = NEXT(fcntl)(fd, command, value);
  if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && given >= 0) watch(given, is_watched(fd));
  return given;
}

#define READING(name, fd, len, half, args) \
  if (!is_watched(fd)) return NEXT(name) args; \
  int what = arrive(#name, fd, NULL, INTR | MOVES, len); \
  if (what == FAIL) return -1; \
  if (what == HALF) half; \
  return NEXT(name) args

#define WRITING(name, fd, at, len, half, args) \
  if (!is_watched(fd)) return NEXT(name) args; \
  int what = arrive(#name, fd, NULL, INTR | MOVES | GROWS, len); \
  if (what == FAIL) return -1; \
  if (what == HALF || what == HALF_AND_END) half; \
  remember(fd, at, len); \
  ssize_t moved = NEXT(name) args; \
  if (what == HALF_AND_END) end_process(); \
  return moved

ssize_t read(int fd, void *into, size_t len) { READING(read, fd, len, len /= 2, (fd, into, len)); }
ssize_t pread(int fd, void *into, size_t len, off_t at) { READING(pread, fd, len, len /= 2, (fd, into, len, at)); }
ssize_t pread64(int fd, void *into, size_t len, off64_t at) { READING(pread64, fd, len, len /= 2, (fd, into, len, at)); }
ssize_t write(int fd, const void *from, size_t len) { WRITING(write, fd, -1, len, len /= 2, (fd, from, len)); }
ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
  WRITING(pwrite, fd, at, len, len /= 2, (fd, from, len, at));
}
ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) {
  WRITING(pwrite64, fd, at, len, len /= 2, (fd, from, len, at));
}

// Half of several pieces is the first half of the first one.
static size_t first(const struct iovec *pieces, int count) { return count > 0 ? pieces->iov_len : 0; }

ssize_t readv(int fd, const struct iovec *pieces, int count) {
  struct iovec one = {count > 0 ? pieces->iov_base : NULL, first(pieces, count)};
  READING(readv, fd, one.iov_len, (one.iov_len /= 2, pieces = &one, count = 1), (fd, pieces, count));
}
ssize_t writev(int fd, const struct iovec *pieces, int count) {
  struct iovec one = {count > 0 ? pieces->iov_base : NULL, first(pieces, count)};
  WRITING(writev, fd, -1, one.iov_len, (one.iov_len /= 2, pieces = &one, count = 1), (fd, pieces, count));
}
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t len, unsigned flags) {
  WRITING(copy_file_range, to, to_at ? *to_at : -1, len, len /= 2, (from, from_at, to, to_at, len, flags));
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t len) {
  WRITING(sendfile64, to, -1, len, len /= 2, (to, from, at, len));
}

#define SYNCING(name, fd, all, args) \
  if (!is_watched(fd)) return NEXT(name) args; \
  if (arrive(#name, fd, NULL, all ? 0 : INTR, 0) == FAIL) return -1; \
  int done = NEXT(name) args; \
  if (!done) settled(fd, all); \
  return done

int fsync(int fd) { SYNCING(fsync, fd, 0, (fd)); }
int fdatasync(int fd) { SYNCING(fdatasync, fd, 0, (fd)); }
int syncfs(int fd) { SYNCING(syncfs, fd, 1, (fd)); }
// It gives no promise after a power cut, and its manual has no EINTR.
int sync_file_range(int fd, off64_t at, off64_t len, unsigned flags) {
  WHOLE(sync_file_range, is_watched(fd), fd, NULL, 0, -1, (fd, at, len, flags));
}
int posix_fadvise(int fd, off_t at, off_t len, int advice) {
  WHOLE(posix_fadvise, is_watched(fd), fd, NULL, 0, errno, (fd, at, len, advice));
}
int posix_fadvise64(int fd, off64_t at, off64_t len, int advice) {
  WHOLE(posix_fadvise64, is_watched(fd), fd, NULL, 0, errno, (fd, at, len, advice));
}

int ftruncate64(int fd, off64_t len) {
  if (!is_watched(fd)) return NEXT(ftruncate64)(fd, len);
  if (arrive("ftruncate64", fd, NULL, INTR | GROWS, 0) == FAIL) return -1;
  remember(fd, 0, 0);
  return NEXT(ftruncate64)(fd, len);
}
int fallocate64(int fd, int mode, off64_t at, off64_t len) {
  WHOLE(fallocate64, is_watched(fd), fd, NULL, INTR | GROWS, -1, (fd, mode, at, len));
}
int fallocate(int fd, int mode, off_t at, off_t len) {
  WHOLE(fallocate, is_watched(fd), fd, NULL, INTR | GROWS, -1, (fd, mode, at, len));
}
int posix_fallocate64(int fd, off64_t at, off64_t len) {
  WHOLE(posix_fallocate64, is_watched(fd), fd, NULL, INTR | GROWS, errno, (fd, at, len));
}
int posix_fallocate(int fd, off_t at, off_t len) {
  WHOLE(posix_fallocate, is_watched(fd), fd, NULL, INTR | GROWS, errno, (fd, at, len));
}

int rename(const char *from, const char *to) { NAMING(rename, below_root(from), -1, from, 0, ENOENT, (from, to)); }
int renameat(int here, const char *from, int there, const char *to) {
  NAMING(renameat, is_watched_at(here, from), here, from, 0, ENOENT, (here, from, there, to));
}
int renameat2(int here, const char *from, int there, const char *to, unsigned flags) {
  NAMING(renameat2, is_watched_at(here, from), here, from, 0, ENOENT, (here, from, there, to, flags));
}
int link(const char *from, const char *to) { NAMING(link, below_root(to), -1, to, 0, EEXIST, (from, to)); }
int linkat(int here, const char *from, int there, const char *to, int flags) {
  NAMING(linkat, is_watched_at(there, to), there, to, 0, EEXIST, (here, from, there, to, flags));
}
int symlink(const char *to, const char *path) { NAMING(symlink, below_root(path), -1, path, 0, EEXIST, (to, path)); }
int unlink(const char *path) { NAMING(unlink, below_root(path), -1, path, 0, ENOENT, (path)); }
int unlinkat(int folder, const char *path, int flags) {
  NAMING(unlinkat, is_watched_at(folder, path), folder, path, 0, ENOENT, (folder, path, flags));
}
int rmdir(const char *path) { NAMING(rmdir, below_root(path), -1, path, 0, ENOENT, (path)); }
int mkdir(const char *path, mode_t mode) { NAMING(mkdir, below_root(path), -1, path, GROWS, EEXIST, (path, mode)); }

struct dirent64 *readdir64(DIR *folder) {
  WHOLE(readdir64, is_watched(dirfd(folder)), dirfd(folder), NULL, 0, NULL, (folder));
}
int stat64(const char *path, struct stat64 *into) { WHOLE(stat64, below_root(path), -1, path, 0, -1, (path, into)); }
int lstat64(const char *path, struct stat64 *into) { WHOLE(lstat64, below_root(path), -1, path, 0, -1, (path, into)); }
int fstat64(int fd, struct stat64 *into) { WHOLE(fstat64, is_watched(fd), fd, NULL, 0, -1, (fd, into)); }
int fstatat64(int folder, const char *path, struct stat64 *into, int flags) {
  WHOLE(fstatat64, is_watched_at(folder, path), folder, path, 0, -1, (folder, path, into, flags));
}
int statx(int folder, const char *path, int flags, unsigned mask, struct statx *into) {
  WHOLE(statx, is_watched_at(folder, path), folder, path, 0, -1, (folder, path, flags, mask, into));
}
int statvfs(const char *path, struct statvfs *into) { WHOLE(statvfs, below_root(path), -1, path, INTR, -1, (path, into)); }
int statvfs64(const char *path, struct statvfs64 *into) {
  WHOLE(statvfs64, below_root(path), -1, path, INTR, -1, (path, into));
}
int statfs(const char *path, struct statfs *into) { WHOLE(statfs, below_root(path), -1, path, INTR, -1, (path, into)); }
int statfs64(const char *path, struct statfs64 *into) { WHOLE(statfs64, below_root(path), -1, path, INTR, -1, (path, into)); }
int fstatfs(int fd, struct statfs *into) { WHOLE(fstatfs, is_watched(fd), fd, NULL, INTR, -1, (fd, into)); }
int fstatfs64(int fd, struct statfs64 *into) { WHOLE(fstatfs64, is_watched(fd), fd, NULL, INTR, -1, (fd, into)); }
char *realpath(const char *path, char *into) { WHOLE(realpath, below_root(path), -1, path, 0, NULL, (path, into)); }
int access(const char *path, int how) { WHOLE(access, below_root(path), -1, path, 0, -1, (path, how)); }
int chmod(const char *path, mode_t mode) { WHOLE(chmod, below_root(path), -1, path, 0, -1, (path, mode)); }
int fchmod(int fd, mode_t mode) { WHOLE(fchmod, is_watched(fd), fd, NULL, 0, -1, (fd, mode)); }
int futimens(int fd, const struct timespec times[2]) { WHOLE(futimens, is_watched(fd), fd, NULL, 0, -1, (fd, times)); }
int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
  WHOLE(utimensat, is_watched_at(folder, path), folder, path, 0, -1, (folder, path, times, flags));
}
int flock(int fd, int how) { WHOLE(flock, is_watched(fd), fd, NULL, INTR, -1, (fd, how)); }
off64_t lseek64(int fd, off64_t by, int from) { WHOLE(lseek64, is_watched(fd), fd, NULL, 0, -1, (fd, by, from)); }
void *mmap64(void *where, size_t len, int how, int flags, int fd, off64_t at) {
  WHOLE(mmap64, is_watched(fd), fd, NULL, 0, MAP_FAILED, (where, len, how, flags, fd, at));
}
