// Showing recordings in the form that -o names; the same for recordings just made and for those read from a file.
#pragma once

#include <span>
#include <vector>

#include "cli/command.h"
#include "cli/output/form.h"
#include "explain/explain.h"
#include "recording/recording.h"
#include "render/tcpdump/tcpdump.h"

namespace tcpwhy::cli {

struct View {
  Form form = Form::text;
  bool absolute_sequence_numbers = false;  // -S
  bool link_header = false;                // -e
  int time_flags = 0;                      // how often -t was given, as in tcpdump(1)

  [[nodiscard]] render::TcpdumpOptions tcpdump() const;
};

// Adds -o with the forms of recordings and packets, and those of records for a command that has `tables`; and tcpdump's -S, -e, -t to -ttttt, which go with -o tcpdump.
void add_view(CLI::App& app, View& view, bool tables = false);

// `recordings` must outlive what is returned.
std::vector<explain::Explained> explain_all(std::span<const recording::Recording> recordings);

// In a form that shows recordings (FormRow::show). `all`: as there.
void show(std::span<const explain::Explained> explained, Form form, Context& context, bool all = false);

// tcpdump's lines. One printer for a whole file, as tcpdump has it: relative numbers and times go on over sections.
class PacketLines {
 public:
  PacketLines(const View& view, Context& context) : printer_(view.tcpdump()), context_(context) {}
  void print(const render::TcpdumpPacket& packet);
  void print(const recording::Recording& recording);

 private:
  render::TcpdumpPrinter printer_;
  Context& context_;
};

// The least severe finding that makes a run fail (--fail-on); nothing: none does.
using FailOn = std::optional<explain::Severity>;
void add_fail_on(CLI::App& app, FailOn& fail_on);
// The exit status: 1 if one of the findings is as severe as that, else 0.
int findings_status(std::span<const explain::Explained> explained, const FailOn& fail_on);

}  // namespace tcpwhy::cli
