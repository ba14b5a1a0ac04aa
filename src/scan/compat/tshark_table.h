// Rows of tshark's analysis as text: what `tshark -Y tcp -T fields -E header=y -e ...` prints for the fields named here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scan/compat/tshark_observer.h"

namespace tcpwhy::scan::tshark {

// frame.number, tcp.stream, tcp.completeness and the fields tcp.analysis.*, in the order of the columns.
std::span<const std::string_view> field_names();

// Their names, separated by tabs, with a line end.
std::string table_header();

// A frame's values, separated by tabs, with a line end. A field that occurs more than once, because the frame has several TCP
// headers or because Wireshark says it twice, has its values joined by commas.
std::string table_line(std::uint64_t frame, std::span<const Row> rows);

}  // namespace tcpwhy::scan::tshark
