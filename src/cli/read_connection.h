// tcpwhy read FILE --stream N, --conn ADDR:PORT, --calls STRACE.LOG: one connection of a capture, with the calls of the time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/view.h"

namespace tcpwhy::cli {

struct ConnectionOptions {
  std::optional<std::uint64_t> stream;  // --stream
  std::string end;                      // --conn
  bool all = false;                     // --all: nothing folded
  std::string calls;                    // --calls: strace's log of the time

  [[nodiscard]] bool chosen() const { return stream.has_value() || !end.empty(); }
};

void add_connection_options(CLI::App& app, ConnectionOptions& options);

// The connection that is chosen, in the form that `view` names. If several fit: their list on standard output, and a usage error.
int show_connection(const std::string& file, const ConnectionOptions& options, const View& view, Context& context);

}  // namespace tcpwhy::cli
