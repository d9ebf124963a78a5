"""Letters to people: written in a tenant's name, sent over SMTP or put into a folder, from the outbox.

``mailer`` is the job, ``recipients`` who gets what, ``wording`` and ``writer`` the letter, ``smtp`` and ``folder`` its
way out. Nothing here is awaited by a request.
"""

from gateway.mail.configured import configured_mailer
from gateway.mail.mailer import Mailer

__all__ = ["Mailer", "configured_mailer"]
