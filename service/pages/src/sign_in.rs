//! Where people sign in.

use maud::html;

use crate::shell::bare;

/// The page. `next` is where one comes to afterwards, `why` what was wrong before.
pub fn sign_in(next: &str, why: Option<&str>) -> String {
    let main = html! {
        main #main.sign-in {
            form.panel action="/sign-in" method="post" {
                h1 { "Sign in" }
                @if let Some(why) = why { p.box role="alert" { (why) } }
                input type="hidden" name="next" value=(next);
                p.field {
                    label for="name" { "Name" }
                    input #name name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus maxlength="64";
                }
                p.field {
                    label for="password" { "Password" }
                    input #password name="password" type="password" autocomplete="current-password" required maxlength="1024";
                }
                p.buttons { button.main type="submit" { "Sign in" } }
            }
        }
    };
    bare("Sign in", &main)
}
