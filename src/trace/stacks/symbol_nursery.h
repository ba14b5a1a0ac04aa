// A process, forked while its parent is small and of one thread, that forks symbol servers when its parent asks for one: one at a
// time, the next ends the one before. It reads nothing but the parent's requests, and ends, with what it forked, when the parent does.
#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"

namespace tcpwhy::trace::symbols {

class Nursery {
 public:
  Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;
  ~Nursery();

  // A socket (SOCK_SEQPACKET) to a new server; invalid: there can be none.
  base::UniqueFd make_server();

 private:
  base::UniqueFd socket_;
  pid_t pid_ = -1;
};

}  // namespace tcpwhy::trace::symbols
