// tcpwhy doctor: what this machine lets us observe, what each is needed for, and how to get more.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/choice.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output/form.h"
#include "doctor/report.h"

namespace tcpwhy::cli {

void add_doctor_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* doctor = app.add_subcommand("doctor", description({"What this machine lets us observe, and how to get more",
                                                           "本机允许观察什么，以及如何获得更多"},
                                                          {{"tcpwhy doctor", {"as you are", "以当前用户的身份"}},
                                                           {"sudo tcpwhy doctor", {"as root is", "以 root 身份"}}}));
  const auto form = std::make_shared<Form>(Form::text);
  add_choice(*doctor, "-o,--output", *form, Choices<Form>{{"text", Form::text}, {"json", Form::json}},
             {"A table (text, the default) or a JSON document (json)", "表格（text，默认）或 JSON 文档（json）"});
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
