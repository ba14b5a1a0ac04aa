// tcpwhy read FILE --stream N, --conn ADDR:PORT, --calls STRACE.LOG: one connection of a capture, with the calls of the time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "capfile/input/input.h"
#include "cli/command.h"
#include "cli/output/reading_stop.h"
#include "cli/output/view.h"
#include "scan/connections/pick_connection.h"

namespace tcpwhy::cli {

struct ConnectionOptions {
  std::optional<std::uint64_t> stream;  // --stream
  std::string end;                      // --conn
  bool all = false;                     // --all: nothing folded
  std::string calls;                    // --calls: strace's log of the time

  [[nodiscard]] bool chosen() const { return stream.has_value() || !end.empty(); }
  [[nodiscard]] bool given() const { return chosen() || !calls.empty(); }
};

void add_connection_options(CLI::App& app, ConnectionOptions& options);

// What it is looked for in.
struct Captures {
  scan::OpenCapture open;
  std::string names;                    // as the command line has them
  bool can_reopen = true;               // false: a pipe is among them
  std::optional<capfile::Input> calls;  // ConnectionOptions::calls
  std::size_t most_connections = 0;     // --max-connections; 0: as scan::TableLimits has it
  const ReadingStop& stop;
};

// The connection that is chosen, in the form that `view` names. If several fit: their list on standard output, and a usage error.
int show_connection(const Captures& captures, const ConnectionOptions& options, const View& view, const FailOn& fail_on,
                    Context& context);

}  // namespace tcpwhy::cli
