// tcpwhy read --compat zeek: a capture's TCP connections as the lines of Zeek's conn.log.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::compat::zeek {

struct ConnLogCounts {
  std::uint64_t evicted = 0;  // connections written before their time, because too many lived at once
};

// What Zeek looks into: `reader` is to be opened so.
scan::FrameOptions frame_options();

// Hands the log to `write`, some lines at a time, until it returns false or the capture ends: the header, then the
// lines in the order in which Zeek writes them. What could be read of a damaged capture is written before the error is
// returned. `seed`: of the hash.
base::Result<ConnLogCounts> write_conn_log(scan::FrameReader& reader,
                                           const std::function<bool(std::string_view)>& write, std::uint64_t seed = 0);

}  // namespace tcpwhy::compat::zeek
