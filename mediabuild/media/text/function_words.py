"""Small words that belong to what follows them, so that no line should end on one.

Articles, determiners, prepositions, auxiliaries, negations, clitics and titles cling to the next word; conjunctions and
subject pronouns rather begin a line than end one. After the line treatment of Netflix's timed text guides.
A language that isn't here has none: its lines are broken at punctuation and by length.

Not here: where lines are broken (`lines`).
"""

from __future__ import annotations

_CLINGING = {
    "en": """
        a an the my your his her its our their this that these those some any every each no what which whose
        of to in on at by for with from into onto about after before between through under over as than like without
        within during against among around behind beside beyond toward towards upon until till per via across along
        am is are was were be been being have has had having do does did will would shall should can could may might
        must cannot let's not never
        don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't won't wouldn't can't couldn't shouldn't
        mustn't needn't ain't i'm you're he's she's it's we're they're i've you've we've they've i'll you'll he'll
        she'll it'll we'll they'll i'd you'd he'd she'd we'd they'd that's there's who's what's
        mr mrs ms miss dr st prof rev capt col gen lt sgt gov sen sir lady lord
        very too quite rather so
    """,
    "es": """
        el la los las lo un una unos unas al del mi mis tu tus su sus nuestro nuestra nuestros nuestras
        este esta estos estas ese esa esos esas aquel aquella aquellos aquellas cada algún ningún cualquier
        a ante bajo con contra de desde durante en entre hacia hasta para por según sin sobre tras
        he has ha hemos habéis han había habías habíamos habían hube hubo hubieron habré habrá habrán habría habrían
        haya hayan hubiera hubieran haber es son era eran fue fueron ser siendo sido soy eres somos será serán sería
        está están estaba estaban estar estoy estás estamos estuvo
        no nunca jamás tampoco ni me te se nos os le les
        sr sra srta sres dr dra d dña don doña san santo santa muy tan más menos
    """,
    "fr": """
        le la les l un une des du de d au aux mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs
        ce cet cette ces chaque quelque quelques aucun aucune
        à après avant avec chez contre dans depuis derrière dès devant durant en entre envers jusque malgré par parmi
        pendant pour sans sauf selon sous sur vers
        ai as a avons avez ont avais avait avaient aurai aura auront aurait suis es est sommes êtes sont étais était
        étaient serai sera seront serait être avoir été
        ne n pas me m te t se s y
        m mme mlle mm dr st ste très trop si plus moins
    """,
    "de": """
        der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner keines
        mein meine meinen meinem meiner dein deine sein seine seinen seinem seiner ihr ihre ihren ihrem ihrer
        unser unsere unseren euer eure dieser diese dieses diesen diesem jeder jede jedes
        an am auf aus bei beim bis durch für gegen hinter in im ins mit nach neben ohne seit über um unter von vom vor
        während wegen zu zum zur zwischen
        bin bist ist sind seid war waren habe hast hat haben habt hatte hatten werde wirst wird werden werdet wurde
        wurden würde würden kann können muss müssen soll sollen will wollen darf dürfen mag
        nicht nie niemals hr herr frau dr prof sehr zu so
    """,
    "it": """
        il lo la i gli le l un uno una del dello della dei degli delle al allo alla ai agli alle dal dallo dalla dai
        dagli dalle nel nello nella nei negli nelle sul sullo sulla sui sugli sulle mio mia miei mie tuo tua suo sua
        suoi sue nostro nostra vostro vostra loro questo questa questi queste quel quello quella quei quegli quelle
        a con contro da di dentro dietro dopo durante fra in per prima senza sopra sotto su tra verso
        ho hai ha abbiamo avete hanno avevo aveva avevano sono sei è siamo siete ero era erano sarà saranno essere avere
        non mai mi ti si ci vi ne sig sigra dott san santa molto più meno così
    """,
    "pt": """
        o a os as um uma uns umas do da dos das no na nos nas ao aos à às pelo pela pelos pelas num numa
        meu minha meus minhas teu tua seu sua seus suas nosso nossa este esta estes estas esse essa esses essas
        aquele aquela aqueles aquelas cada algum nenhum
        ante após até com contra de desde durante em entre para perante por sem sob sobre trás
        sou és é somos são era eram foi foram será serão seria ser sido estou está estamos estão estava estavam estar
        tenho tem temos têm tinha tinham ter tido hei há havia
        não nunca jamais nem me te se lhe lhes vos sr sra dr dra dom dona são santa muito tão mais menos
    """,
}
_JOINING = {
    "en": """
        and or but nor because if when while where who whom although though since unless whether
        i you he she we they it there
    """,
    "es": """
        y e o u que pero sino porque cuando donde mientras si como aunque
        pues quien cuyo yo tú él ella nosotros ellos
    """,
    "fr": """
        et ou mais donc or ni car que qu quand où si comme lorsque puisque
        qui dont je j tu il elle on nous vous ils elles
    """,
    "de": "und oder aber denn sondern dass weil wenn als ob wo während obwohl ich du er sie es wir",
    "it": "e ed o ma però che perché quando dove mentre se come anche io tu lui lei noi voi",
    "pt": "e ou mas porque que quando onde enquanto se como embora eu tu ele ela nós eles",
}
# Small words inside names: "Juan de la Cruz", "Ludwig van Beethoven".
NAME_PARTICLES = frozenset(["de", "del", "la", "los", "da", "do", "dos", "di", "van", "von", "der", "den", "du", "y"])


def clinging(language: str) -> frozenset[str]:
    """The words of a language that a line shouldn't end on, in small letters."""
    return frozenset(_CLINGING.get(language.partition("-")[0].lower(), "").split())


def joining(language: str) -> frozenset[str]:
    """The words that rather begin a line than end one."""
    return frozenset(_JOINING.get(language.partition("-")[0].lower(), "").split())
