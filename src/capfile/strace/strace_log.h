// strace's log as calls of a recording: strace -f -ttt -yy -e trace=network,desc,process,close_range, better with -T.
//
// Only what happens to TCP sockets is kept. What a line leaves out is not made up, but for one thing: strace writes
// when it saw a call made, not when the call came back, unless another line got in between. It is then taken to come
// back 30 ms later (with -T: than it took), or when the log goes on, if that is sooner. Without -T, a call that may
// wait (recv, accept, connect) lasts until then.
//
// Sockets have no cookies here; they are numbered from 1 as they appear. A descriptor's socket is known from what -yy
// says of it, else from the calls that made it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "capfile/input/input.h"
#include "recording/recording.h"

namespace tcpwhy::capfile {

struct StraceLimits {
  std::size_t line_bytes = std::size_t{1} << 20;  // of a longer line the rest is skipped
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;
};

struct StraceLog {
  // Actors (a thread each; named "pid N" unless an execve says more) and events in order of time. It holds the rules of
  // recording_io.h. What was left out for want of memory is a Loss at the end.
  recording::Recording calls;
  std::uint64_t lines = 0;
  std::uint64_t not_understood = 0;  // lines that are none of strace's
};

// ErrorKind::unreadable: missing, or no line of it is one of strace's with the time of -ttt. Plain, .gz or .zst; "-" is
// standard input.
base::Result<StraceLog> read_strace(const std::string& path, const StraceLimits& limits = {});
base::Result<StraceLog> read_strace(const Input& input, const StraceLimits& limits = {});
base::Result<StraceLog> parse_strace(std::string_view text, const std::string& name, const StraceLimits& limits = {});

// The calls that concern the connection between these two ends: on its sockets, on sockets that listen for it, on those
// that were to connect to one of them; with the signals and ends of the processes that made them.
recording::Recording calls_between(const recording::Recording& calls, const wire::SocketAddress& one,
                                   const wire::SocketAddress& other);

}  // namespace tcpwhy::capfile
