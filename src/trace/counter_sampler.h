// The TCP counters of a network namespace (/proc/net/snmp: Tcp, /proc/net/netstat: TcpExt) and how they move.
// What each one counts: Documentation/networking/snmp_counter.rst of the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "recording/event.h"

namespace tcpwhy::trace {

class CounterSampler {
 public:
  // Bound to the network namespace that is current now, for good (the open files keep it: proc_net(5), get_proc_net()).
  // Reads the counters once; what moves after this is told. `host` goes into each event.
  static base::Result<CounterSampler> open(std::string host = {});

  // Appends a CounterMoved for each counter that moved since the last call (or open()), in the kernel's order. Gauges such as
  // Tcp.CurrEstab move both ways. The settings among the Tcp counters (RtoAlgorithm, ...) are left out.
  base::Status sample(std::vector<recording::Event>& events);

 private:
  struct Source {
    base::UniqueFd fd;
    std::string_view path;           // for errors
    std::string_view prefix;         // "TcpExt:"
    std::vector<std::string> names;  // "TcpExt.SyncookiesSent"; empty: not told
    std::vector<std::int64_t> values;
  };
  base::Status read(Source& source, std::vector<std::int64_t>& values);

  std::string host_;
  std::vector<Source> sources_;
  base::WallTime previous_;
  std::string buffer_;
};

}  // namespace tcpwhy::trace
