// The parts of a sandbox that sandbox.h does not promise: what happens in the child, the form of its result, and the words for
// a kernel that refuses.
#pragma once

#include <sys/types.h>

#include <expected>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "lab/sandbox/sandbox.h"

namespace tcpwhy::lab {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct WorkerSetup {
  int result = -1;  // memfd for the result
  int progress = -1;
  int parent = -1;              // pidfd of the parent
  std::vector<int> keep;        // descriptors to leave open besides
  std::optional<Identity> map;  // who becomes 0 inside, where there is a user namespace
};

// The child's life: tie it to the parent, map the user, settle the descriptors and signals, run `work` (which is given the
// number that the progress descriptor has now), write its result.
[[noreturn]] void run_worker(const WorkerSetup& setup, const std::function<base::Result<Bytes>(int progress)>& work);

// The result in a memfd, whole or not at all.
void write_result(int fd, const base::Result<Bytes>& result);
std::optional<base::Result<Bytes>> read_result(int fd);

// Why clone3() with namespaces failed with `error`, or a map could not be written, and how to go on. `user_namespace`: whether
// a new user namespace was asked for.
std::unexpected<base::Error> explain_refusal(int error, bool user_namespace);

// For poll(2): rounded up, at least 0.
int poll_timeout_ms(base::MonotonicTime now, base::MonotonicTime deadline);

}  // namespace tcpwhy::lab
