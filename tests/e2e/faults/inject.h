// Which calls are watched, how they are counted, and what happens at the one that is to go wrong.
//
// RESLICE_FAULT_ROOT   calls on paths below this folder, and on descriptors opened there, are watched
// RESLICE_FAULT        what goes wrong: an errno by name (ENOSPC EIO EDQUOT EINTR ESTALE), or
//   short   half of the bytes are moved (legal)          slow    50 ms pass first
//   full    from a call that needs room on, all that do fail       kill    SIGKILL before the call
//   torn    half of the bytes are written, SIGKILL       term    SIGTERM, and the call is made
//   done    the call is made, and says it could not, as of a server that answered the second of two equal requests
//   cut     SIGKILL, and what was written and not synced is gone, as after a power cut
// RESLICE_FAULT_AT     the number of the call, from 1; 0 only counts
// RESLICE_FAULT_KEEP   cut: files with this in their path lose nothing
// RESLICE_FAULT_LOG    a file that gets a line "NUMBER CALL PATH": of each call when counting, of the faulty one otherwise, with
//                      " unfit" behind it where that fault cannot happen to that call
#pragma once

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 1 << 16 };
// What can happen to a call: its manual lists EINTR; it moves bytes; it needs room on the disk; it changes names.
enum { INTR = 1, MOVES = 2, GROWS = 4, NAMES = 8 };
// What the caller must do: go on, go on with half of the bytes, do that and end, fail, or do it and fail.
enum { GO, HALF, HALF_AND_END, FAIL, DO_AND_FAIL };
enum fault { NONE, ERRNO, SHORT, SLOW, FULL, KILL, TORN, TERM, DONE, CUT };

static char root[4096], keep[256], log_path[4096];
static size_t root_len;
static enum fault fault;
static int fault_errno, log_fd = -1;
static long fault_at;
static long calls;
static unsigned char watched[DESCRIPTORS];

static void lose_unsynced(void);

static void setting(const char *name, char *into, size_t size) {
  const char *value = getenv(name);
  snprintf(into, size, "%s", value ? value : "");
}

__attribute__((constructor)) static void read_settings(void) {
  static const struct { const char *name; enum fault fault; int number; } known[] = {
    {"ENOSPC", ERRNO, ENOSPC}, {"EIO", ERRNO, EIO}, {"EDQUOT", ERRNO, EDQUOT}, {"EINTR", ERRNO, EINTR},
    {"ESTALE", ERRNO, ESTALE}, {"short", SHORT, 0}, {"slow", SLOW, 0}, {"full", FULL, ENOSPC}, {"kill", KILL, 0},
    {"torn", TORN, 0}, {"term", TERM, 0}, {"done", DONE, 0}, {"cut", CUT, 0},
  };
  char name[32], at[32];
  setting("RESLICE_FAULT_ROOT", root, sizeof root);
  root_len = strlen(root);
  setting("RESLICE_FAULT_KEEP", keep, sizeof keep);
  setting("RESLICE_FAULT_AT", at, sizeof at);
  fault_at = atol(at);
  setting("RESLICE_FAULT", name, sizeof name);
  for (size_t n = 0; n < sizeof known / sizeof *known; n++)
    if (!strcmp(name, known[n].name)) { fault = known[n].fault; fault_errno = known[n].number; }
  setting("RESLICE_FAULT_LOG", log_path, sizeof log_path);
  if (*log_path) log_fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int below_root(const char *path) {
  return root_len && path && !strncmp(path, root, root_len) && (path[root_len] == '/' || !path[root_len]);
}

static int is_watched(int fd) { return fd >= 0 && fd < DESCRIPTORS && watched[fd]; }

static int is_watched_at(int folder, const char *path) {
  return below_root(path) || (path && *path != '/' && is_watched(folder));
}

static int watch(int fd, int yes) {
  if (fd >= 0 && fd < DESCRIPTORS) watched[fd] = yes;
  return fd;
}

// The path of a descriptor, or "" for none.
static const char *path_of(int fd, char *into, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, into, size - 1);
  into[len > 0 ? len : 0] = 0;
  return into;
}

static void note(long number, const char *name, int fd, const char *path, const char *remark) {
  char folder[4096] = "", line[9000];
  if (fd >= 0 && !(path && *path == '/')) path_of(fd, folder, sizeof folder);
  int len = snprintf(line, sizeof line, "%ld %s %s%s%s%s\n", number, name, folder, *folder && path && *path ? "/" : "",
                     path ? path : "", remark);
  if (log_fd >= 0) syscall(SYS_write, log_fd, line, len);
}

__attribute__((noreturn)) static void end_process(void) {
  syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
  for (;;) syscall(SYS_pause);
}

// Whether the fault can happen to a call of these traits that moves `len` bytes.
static int fits(int traits, size_t len) {
  if (fault == ERRNO && fault_errno == EINTR) return traits & INTR;
  if (fault == SHORT) return (traits & MOVES) && len > 1;
  if (fault == TORN) return (traits & MOVES) && (traits & GROWS) && len > 1;
  if (fault == DONE) return traits & NAMES;
  if (fault == FULL) return traits & GROWS;
  return 1;
}

// Counts a watched call, and says what is to become of it. `path` may be NULL, and is relative to `fd` where it is.
static int arrive(const char *name, int fd, const char *path, int traits, size_t len) {
  long number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if (!fault_at) note(number, name, fd, path, "");
  static int is_full;
  int fit = fits(traits, len);
  if (fault_at && number == fault_at) {
    note(number, name, fd, path, fit ? "" : " unfit");
    is_full = fit && fault == FULL;
  }
  if (!fault_at || !fit || (number != fault_at && !is_full)) return GO;
  struct timespec wait = {0, 50 * 1000 * 1000};
  switch (fault) {
    case ERRNO: case FULL: errno = fault_errno; return FAIL;
    case SHORT: return HALF;
    case TORN: return HALF_AND_END;
    case DONE: return DO_AND_FAIL;
    case SLOW: syscall(SYS_nanosleep, &wait, NULL); return GO;
    case TERM: syscall(SYS_kill, syscall(SYS_getpid), SIGTERM); return GO;
    case CUT: lose_unsynced(); end_process();
    case KILL: end_process();
    default: return GO;
  }
}
