// Rows of tshark's analysis as text: what `tshark -Y tcp -T fields -E header=y -e ...` prints for the fields named here.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compat/tshark/observer.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::compat::tshark {

// Of the column behind those of tshark.
inline constexpr std::string_view own_class_name = "tcpwhy";

// frame.number, tcp.stream, tcp.completeness and the fields tcp.analysis.*, in the order of the columns.
std::span<const std::string_view> field_names();

// Their names and own_class_name, separated by tabs, with a line end.
std::string table_header();

// A frame's values and `own_class`, separated by tabs, with a line end. A field that occurs more than once, because the
// frame has several TCP headers or because Wireshark says it twice, has its values joined by commas.
std::string table_line(std::uint64_t frame, std::span<const Row> rows, std::string_view own_class);

// What could not be kept in mind.
struct Forgotten {
  std::uint64_t connections = 0;  // see Observer::forgotten()
};

// The table of a whole capture: a line for each frame with a TCP header. `write` says whether there is still a reader.
// What could be read is written before an error is returned.
base::Result<Forgotten> write_table(scan::FrameReader& frames, const std::function<bool(std::string_view)>& write,
                                    const Observer::Limits& limits = {});

}  // namespace tcpwhy::compat::tshark
