"""A way past every page of a tenant, each reached as people reach it, and looked at before it is left."""

from urllib.parse import urlencode

from tests.e2e.authenticator import Authenticator
from tests.e2e.hosted import Hosted
from tests.e2e.inspection import Inspection

_CALLBACK = "https://reports.example/callback"
REPORTS = (
    *("reports", "--name", "Reports", "--grant", "authorization_code", "--redirect-uri", _CALLBACK),
    *("--scope", "openid", "--scope", "email", "--audience", "https://api.example/reports"),
)
"""What ``yett client create`` makes an application of that is not the tenant's own."""
_REQUEST = {
    "client_id": "reports",
    "redirect_uri": _CALLBACK,
    "response_type": "code",
    "scope": "openid email",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
PASSWORD = "seven green lanterns in a row"


class Tour:
    """One person's way past every page. Each part begins where the one before ended."""

    def __init__(self, site: Hosted, tenant: str, inspection: Inspection) -> None:
        self.site, self.tenant, self.base = site, tenant, f"/t/{tenant}"
        self.window, self.look = inspection.window, inspection.look

    def sign_up(self, address: str) -> None:
        """As a stranger, up to an account without a second factor."""
        self.window.go(f"{self.base}/signup")
        self.look("Create an account")
        self.window.fill(email=f"{'a' * 65}@example.com")  # browsers take it
        self.window.press("Send me the link")
        self.window.reads("That is no email address.")
        self.look("Create an account")
        self.window.fill(email=address)
        self.window.press("Send me the link")
        self.look("Check your mail")
        self.window.go(self.site.mailbox.take(address, "Your new account").link)
        self.look("Finish signing up")
        self.window.fill(name="two words", password=PASSWORD)
        self.window.press("Save password")
        self.window.reads("That cannot be a user name")
        self.look("Finish signing up")
        self.window.fill(name="frank", password=PASSWORD)
        self.window.press("Save password")
        self.look("Your account")

    def change_factors(self) -> None:
        """From none to two, to one with another name and other recovery codes."""
        self.window.press("Set up an authenticator")
        self.look("Set up a second factor")
        app = Authenticator.scan(self.window.page.screenshot(full_page=True))
        self.window.fill(otp=app.wrong_code(), name="Phone")
        self.window.press("Turn it on")
        self.window.reads("That code is wrong")
        self.look("Set up a second factor")
        self.window.fill(otp=app.code())
        self.window.press("Turn it on")
        self.look("Your recovery codes")
        self.window.press("I have kept them")
        self.window.press("Add another authenticator")
        other = Authenticator.scan(self.window.page.screenshot(full_page=True), beside=app)
        self.window.fill(otp=other.code(), name="Tablet")
        self.window.press("Turn it on")
        self.look("Your account")
        tablet = self.window.page.locator(".item", has_text="Tablet")
        tablet.get_by_role("link", name="Rename").click()
        self.look("Rename an authenticator")
        self.window.fill(name="Old tablet")
        self.window.press("Save the name")
        self.window.sees("Your account")
        tablet.get_by_role("link", name="Remove").click()
        self.look("Remove Old tablet?")
        self.window.press("Remove it")
        self.window.press("New recovery codes")
        self.look("Make new recovery codes?")
        self.window.press("Make new codes")
        self.look("Your recovery codes")

    def log_out(self) -> None:
        self.window.go(f"{self.base}/logout")
        self.look("Log out?")
        self.window.press("Log out")
        self.look("You are logged out")
        self.window.go(f"{self.base}/logout")
        self.look("You are logged out")

    def accept_invitation(self, address: str) -> tuple[Authenticator, list[str]]:
        """Of somebody who has to have a second factor."""
        who = ("--name", "erin", "--role", "administrator")
        self.site.installation.does("user", "invite", "--tenant", self.tenant, address, *who)
        self.window.go(self.site.mailbox.take(address, "You are invited").link)
        self.look("Accept the invitation")
        self.window.fill(password="passwordpassword")
        self.window.press("Save password")
        self.window.reads("password")
        self.look("Accept the invitation")
        self.window.fill(password=PASSWORD)
        self.window.press("Save password")
        self.look("Set up a second factor", "enrol")
        app = Authenticator.scan(self.window.page.screenshot(full_page=True))
        self.window.fill(otp=app.wrong_code())
        self.window.press("Turn it on")
        self.window.reads("That code is wrong")
        self.look("Set up a second factor")
        self.window.fill(otp=app.code(), name="My phone")
        self.window.press("Turn it on")
        self.look("Your recovery codes", "recovery-codes")
        codes = self.window.page.locator(".codes li").all_inner_texts()
        self.window.press("I have kept them")
        self.window.sees("Your account")
        return app, codes

    def log_in(self, app: Authenticator) -> None:
        """With every mistake that the forms answer."""
        self.window.go(f"{self.base}/login")
        self.look("Log in", "login")
        self.window.fill(username="erin", password="another")
        self.window.press("Log in")
        self.window.reads("The user name or the password is wrong.")
        self.look("Log in")
        self.window.fill(username="erin", password=PASSWORD)
        self.window.press("Log in")
        self.look("Enter your code", "otp")
        self.window.fill(otp=app.wrong_code())
        self.window.press("Continue")
        self.window.reads("That code is wrong")
        self.look("Enter your code")
        self.window.press("Use a recovery code")
        self.look("Use a recovery code")
        self.window.fill(recovery_code="no code of mine")
        self.window.press("Continue")
        self.window.reads("That is none of your recovery codes")
        self.look("Use a recovery code")
        self.window.press("Use your authenticator app")
        self.window.fill(otp=app.code())
        self.window.page.get_by_label("Trust this device").check()
        self.window.press("Continue")
        self.window.sees("Your account")

    def walk_through_the_account(self, address: str) -> None:
        """With two sessions, and a second factor that was just used."""
        account = f"{self.base}/account"
        self.window.go(account)
        self.look("Your account", "account")
        for link, name in (("Sessions", "sessions"), ("Devices", "devices")):
            self.window.press(link)
            self.look(link, name)
        self.window.press("Activity")
        self.look("Recent activity")
        self.window.go(account)
        self.window.press("Remove")
        self.look("Not yet")  # it is required of an administrator
        self.window.go(account)
        self.window.press("Change password")
        self.look("Change your password")
        self.window.fill(current_password="another", password=f"{PASSWORD} of mine")
        self.window.press("Change password")
        self.window.reads("Your current password is another one.")
        self.look("Change your password")
        self.window.fill(current_password=PASSWORD, password=f"{PASSWORD} of mine")
        self.window.press("Change password")
        self.look("Your password is changed")
        self.window.go(f"{account}/email")
        self.look("Your email address")
        self.window.fill(email=address)
        self.window.press("Send the letter")
        self.window.reads("That is your address already.")
        self.look("Your email address")
        self.window.fill(email=f"new.{address}")
        self.window.press("Send the letter")
        self.look("Check your mail")
        self.window.go(self.site.mailbox.take(f"new.{address}", "Confirm your address").link)
        self.look("Confirm your email address")
        self.window.press("Confirm")
        self.look("Your address is confirmed")

    def connect_a_device(self) -> None:
        """A code that no device shows, then those of two devices: one is refused, one is allowed in."""
        self.window.go(f"{self.base}/device")
        self.look("Connect a device")
        self.window.fill(user_code="BCDF-GHJK")
        self.window.press("Continue")
        self.window.reads("No device waits with that code.")
        self.look("Connect a device")
        for answer, heading in (("Refuse", "Refused"), ("Allow", "Your device is connected")):
            shown = self.site.programs.post(f"{self.base}/device", data={"client_id": "demo-app"}).json()
            self.window.go(shown["verification_uri_complete"])
            self.window.press("Continue")
            self.look("Connect demo-app?", "device")
            self.window.press(answer)
            self.look(heading)

    def let_an_application_in(self) -> None:
        """One that is not the tenant's own: it asks wrongly, then rightly, in each way that it may be answered."""
        self.window.page.route(
            f"{_CALLBACK}*", lambda route: route.fulfill(content_type="text/html", body="<title>R</title><h1>In</h1>")
        )
        self.window.go(f"{self.base}/authorize?client_id=reports")
        self.look("This request cannot be answered")
        for mode, answer in (("query", "Refuse"), ("query", "Allow"), ("form_post", None)):
            self.window.go(f"{self.base}/authorize?{urlencode({**_REQUEST, 'response_mode': mode})}")
            if answer is not None:
                self.look("Allow Reports?", "consent")
                self.window.press(answer)
            self.window.sees("In")
        self.window.go(f"{self.base}/account/apps")
        self.look("Applications")
        self.window.press("Take back Reports")
        self.window.reads("None was let in.")
        self.look("Applications")

    def forget_password(self, address: str) -> None:
        self.window.go(f"{self.base}/forgot")
        self.look("Forgot your password?")
        self.window.fill(identifier=" ")
        self.window.press("Send me the link")
        self.window.reads("Enter your user name or your email address.")
        self.look("Forgot your password?")
        self.window.fill(identifier=address)
        self.window.press("Send me the link")
        self.look("Check your mail")
        letter = self.site.mailbox.take(address, "Choose a new password")
        self.window.go(letter.link)
        self.look("Choose a new password")
        self.window.fill(password=PASSWORD)
        self.window.press("Save password")
        self.window.sees("Log in")
        self.window.go(letter.link)
        self.look("This link does not work")

    def go_astray(self) -> None:
        """Where there is nothing, and with a form of a browser that has lost its cookies."""
        self.window.go(f"{self.base}/login")
        self.window.page.context.clear_cookies()
        self.window.fill(username="erin", password=PASSWORD)
        self.window.press("Log in")
        self.look("That did not work")
