// A power cut: what was written to watched files since they were last synced is taken back before the process ends.
// Names stay as they are: a journalling file system keeps renames and loses the bytes behind them.
#pragma once

#include <pthread.h>

struct written {
  dev_t device;
  ino_t inode;
  int fd;             // of our own
  off_t at, size;     // where, and how long the file was before
  size_t len;         // of what was there before
  char *old;
  struct written *earlier;
};

static struct written *last_written;
static pthread_mutex_t losing = PTHREAD_MUTEX_INITIALIZER;

// Remembers what `len` bytes at `at` of `fd` are, before they are written; `at` < 0 means at the descriptor's own position.
static void remember(int fd, off_t at, size_t len) {
  struct stat now;
  char link[64], path[4096];
  if (fault != CUT || syscall(SYS_fstat, fd, &now) || (*keep && strstr(path_of(fd, path, sizeof path), keep))) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  struct written *one = calloc(1, sizeof *one);
  if (at < 0) at = (syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) ? now.st_size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
  *one = (struct written){now.st_dev, now.st_ino, syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC), at, now.st_size, 0, NULL, NULL};
  if (len && at < now.st_size) {
    one->old = malloc(len);
    ssize_t got = syscall(SYS_pread64, one->fd, one->old, len, at);
    one->len = got > 0 ? got : 0;
  }
  pthread_mutex_lock(&losing);
  one->earlier = last_written;
  last_written = one;
  pthread_mutex_unlock(&losing);
}

static void forget(struct written **link) {
  struct written *one = *link;
  *link = one->earlier;
  if (one->fd >= 0) syscall(SYS_close, one->fd);
  free(one->old);
  free(one);
}

// The file behind `fd` is on the disk; all files of its file system where `all`.
static void settled(int fd, int all) {
  struct stat now;
  if (fault != CUT || syscall(SYS_fstat, fd, &now)) return;
  pthread_mutex_lock(&losing);
  for (struct written **link = &last_written; *link;) {
    if ((*link)->device == now.st_dev && (all || (*link)->inode == now.st_ino)) forget(link);
    else link = &(*link)->earlier;
  }
  pthread_mutex_unlock(&losing);
}

static void lose_unsynced(void) {
  pthread_mutex_lock(&losing);
  for (struct written *one = last_written; one; one = one->earlier) {
    if (one->len) syscall(SYS_pwrite64, one->fd, one->old, one->len, one->at);
    syscall(SYS_ftruncate, one->fd, one->size);
  }
}
