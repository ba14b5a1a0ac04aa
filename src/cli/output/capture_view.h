// tcpwhy read, of a capture without calls: the summary, the table of connections, groups of them, CSV and NDJSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capfile/input/input.h"
#include "cli/command.h"
#include "cli/output/form.h"
#include "cli/output/reading_stop.h"
#include "cli/output/view.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::cli {

struct CaptureOptions {
  std::string filter;                // tcpdump's language
  bool teredo = false;               // --teredo
  std::string where;                 // scan/tables/where/where.h
  std::string columns, sort;         // --columns a,b,c; --sort [-]field
  std::string by;                    // --by
  bool table = false;                // --table
  std::optional<std::size_t> top;    // --top
  std::size_t most_connections = 0;  // --max-connections; 0: as scan::TableLimits has it
  unsigned threads = 0;              // --threads
  bool list_fields = false;          // --fields

  // Connections are to be shown, whatever else the file holds.
  [[nodiscard]] bool ask_for_table() const { return table || !columns.empty() || !sort.empty(); }
  [[nodiscard]] bool ask_for_connections() const { return ask_for_table() || !where.empty() || !by.empty() || top; }
};

void add_capture_options(CLI::App& app, CaptureOptions& options);

// What is read, open before a byte of it is looked at; and what else may need files (names in a filter do).
struct OpenCaptures {
  std::vector<capfile::Input> inputs;
  scan::FrameFilter filter;
  std::shared_ptr<ReadingStop> stop = std::make_shared<ReadingStop>();

  // From here on a signal ends the reading, and not the program.
  void read_until_signal();
};
base::Result<OpenCaptures> open_captures(const std::vector<std::string>& paths, const CaptureOptions& options);

// Whether the input, of which nothing is consumed, is a recording of this program rather than a capture of another.
bool is_recording(const capfile::Input& input);

// Of a table's hash: whoever makes a capture should not be able to choose addresses that collide.
std::uint64_t random_seed();

int show_fields(Context& context);
// The captures as one, of packets that fit the filter; `frames`: what else a reader wants.
base::Result<scan::FrameReader> read_captures(const OpenCaptures& captures, const CaptureOptions& options,
                                              scan::FrameOptions frames = {});

// Says it on standard error where the link types of packets are not known: a warning, unless the output has `shown` it; an error where
// no other packet came. Returns the exit status that follows.
int report_unread_links(const scan::UnreadLinks& unread, bool shown = false);

// The summary or a table, in the form that was asked for.
class CaptureView {
 public:
  // Everything that it needs besides the captures is open from here on. Errors: usage; system, where DuckDB's library is missing. What
  // is passed must outlive it.
  static base::Result<std::unique_ptr<CaptureView>> prepare(const CaptureOptions& options, Form form,
                                                            const FailOn& fail_on, Context& context);
  CaptureView() = default;
  CaptureView(const CaptureView&) = delete;
  CaptureView& operator=(const CaptureView&) = delete;
  virtual ~CaptureView() = default;

  // Files that a library will open by name; empty: none.
  [[nodiscard]] virtual std::vector<int> reopened() const = 0;
  // Once. Returns the exit status.
  virtual int show(const OpenCaptures& captures) = 0;
};

}  // namespace tcpwhy::cli
