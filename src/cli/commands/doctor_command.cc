// tcpwhy doctor: what this machine lets us observe, what each is needed for, and how to get more.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/choice.h"
#include "cli/command.h"
#include "cli/output/form.h"
#include "doctor/report.h"

namespace tcpwhy::cli {

void add_doctor_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* doctor = app.add_subcommand("doctor", "What this machine lets us observe, and how to get more");
  const auto form = std::make_shared<Form>(Form::text);
  add_choice(*doctor, "-o,--output", *form, Choices<Form>{{"text", Form::text}, {"json", Form::json}},
             "A table (text, the default) or a JSON document");
  add_settings(*doctor, settings);
  doctor->callback([&chosen, form] {
    chosen = [form](Context& context) {
      const auto probes = doctor::examine();
      context.out.write(*form == Form::json ? doctor::as_json(probes, context.language())
                                            : doctor::as_text(probes, {.language = context.language(),
                                                                       .width = context.width(),
                                                                       .color = context.color()}));
      return 0;
    };
  });
}

}  // namespace tcpwhy::cli
