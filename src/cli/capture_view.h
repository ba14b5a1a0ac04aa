// tcpwhy read, of a capture without calls: the summary, the table of connections, CSV and NDJSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/view.h"
#include "scan/frame_reader.h"

namespace tcpwhy::cli {

struct CaptureOptions {
  std::string filter;                // tcpdump's language
  bool teredo = false;               // --teredo
  std::string where;                 // scan/where.h
  std::string columns, sort;         // --columns a,b,c; --sort [-]field
  bool table = false;                // --table
  std::size_t top = 10;              // --top
  std::size_t most_connections = 0;  // --max-connections; 0: as scan::TableLimits has it
  unsigned threads = 0;              // --threads
  bool list_fields = false;          // --fields
};

void add_capture_options(CLI::App& app, CaptureOptions& options);

// Whether the input (a path, or "-" for standard input, of which nothing is consumed) is a recording of this program rather than a
// capture of another.
bool is_recording(const std::string& path);

// Of a table's hash: whoever makes a capture should not be able to choose addresses that collide.
std::uint64_t random_seed();

int show_fields(Context& context);
// The captures as one, of packets that fit the filter; `frames`: what else a reader wants.
base::Result<scan::FrameReader> open_captures(const std::vector<std::string>& paths, const CaptureOptions& options,
                                              scan::FrameOptions frames = {});

int show_capture(const std::vector<std::string>& paths, const CaptureOptions& options, Form form, const FailOn& fail_on,
                 Context& context);

}  // namespace tcpwhy::cli
